package junk

import (
	"path/filepath"
	"strings"
	"testing"
)

// An account that has contributed its share turns around what others have taught the domain.
func TestOneAccountDoesNotTurnADomainAround(t *testing.T) {
	tab := newTable(t, filepath.Join(t.TempDir(), "Junk.data"), domainTable)
	var news []*tokens
	for i := range 200 {
		news = append(news, tok(t, "Message-ID: <"+strings.Repeat("x", i+1)+"@news.example>\r\nSubject: weekly letter\r\n\r\nour weekly company letter"))
	}
	for i, one := range news {
		if _, err := tab.learn(one, Ham, uint64(i%20+1), 1); err != nil {
			t.Fatal(err)
		}
	}
	turned := 0
	for _, one := range news { // one account, its share is used up or not
		done, err := tab.learn(one, Junk, 1001, 1)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			turned++
		}
	}
	if turned > 50 {
		t.Errorf("one account has turned %d of 200 messages that 20 others had said are wanted; the table says %d junk, %d ham, its share %d", turned, tab.junk, tab.ham, tab.share(1001))
	}
}
