package housekeeping

import (
	"context"
	"fmt"
	"log/slog"
	"mime"
	"strconv"
	"strings"
	"time"

	"gatepost/accounts"
	"gatepost/accounts/mailbox"
	"gatepost/server/logs"
)

// An account that holds more than QuotaNotice percent of MaxAccountSize gets one notice, and the next one only after it was below that again. That there
// was one is a property of the account that belongs to no user, so that no client sees it. A crash just after a notice can
// have it sent again.
const (
	nobody       = 0 // no account has this number
	propNoticed  = "quota notice"
	noticedValue = "1"
)

// watchQuota puts a notice into INBOX of an account that is nearly full.
func (h *Housekeeper) watchQuota(ctx context.Context, a *accounts.Account) error {
	set := a.Settings()
	limit, percent := int64(set.MaxAccountSize), int64(set.QuotaNotice)
	if limit <= 0 || percent <= 0 {
		return nil
	}
	usage, err := a.Mail().Usage(ctx)
	if err != nil {
		return err
	}
	props, err := a.Mail().Properties(ctx, "", nobody)
	if err != nil {
		return err
	}
	full, noticed := float64(usage.Bytes)*100 >= float64(limit)*float64(percent), props[propNoticed] != ""
	switch {
	case full == noticed:
		return nil
	case !full:
		return a.Mail().SetProperties(ctx, "", nobody, map[string]*string{propNoticed: nil})
	}
	text := notice(a, usage.Bytes, limit, time.Now())
	if _, err := a.Mail().Append(ctx, "INBOX", mailbox.AppendMessage{Body: strings.NewReader(text)}); err != nil {
		return err
	}
	h.counts.Notices.Inc()
	h.log.LogAttrs(ctx, logs.LevelMajor, "an account is nearly full and was told so", slog.String(logs.AttrAccount, a.Address()), slog.Int64("bytes", usage.Bytes), slog.Int64("limit", limit))
	value := noticedValue
	return a.Mail().SetProperties(ctx, "", nobody, map[string]*string{propNoticed: &value})
}

// notices are subject and text by the preference Language: of how many percent, of used and of allowed megabytes.
var notices = map[string][2]string{
	"english": {"Your mailbox is nearly full", "Your mailboxes hold %[2]s MB. That is %[1]d %% of the %[3]s MB that you may store.\r\n\r\n" +
		"When the limit is reached, new mail will wait, and after some days go back to its senders. Please delete\r\nmessages that you do not need, and empty the Trash.\r\n"},
	"russian": {"Почтовый ящик почти заполнен", "Ваши папки занимают %[2]s МБ. Это %[1]d %% от разрешённых %[3]s МБ.\r\n\r\n" +
		"Когда место закончится, новые письма будут ждать и через несколько дней вернутся отправителям. Удалите\r\nненужные письма и очистите корзину.\r\n"},
}

// notice is the message to the user of an account.
func notice(a *accounts.Account, used, limit int64, now time.Time) string {
	text, ok := notices[strings.ToLower(a.Preference("Language"))]
	if !ok {
		text = notices["english"]
	}
	mega := func(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) }
	return "From: Postmaster <postmaster@" + a.Domain + ">\r\nTo: <" + a.Address() + ">\r\nDate: " + now.Format(time.RFC1123Z) +
		"\r\nSubject: " + mime.QEncoding.Encode("utf-8", text[0]) +
		fmt.Sprintf("\r\nMessage-ID: <quota.%d.%d@%s>", a.ID, now.UnixNano(), a.Domain) +
		"\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		fmt.Sprintf(text[1], used*100/limit, mega(used), mega(limit))
}
