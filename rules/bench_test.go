package rules

import (
	"fmt"
	"strings"
	"testing"
)

// manyRules is a set of 100 rules of 3 conditions, as large sites have them; the last condition of
// each fails.
func manyRules(t testing.TB) *Set {
	var b strings.Builder
	for i := range 100 {
		cond := [...]string{
			`("Any To or Cc",is,"*@corp%d.com"),(Subject,"is not","*[list%d]*"),("Header Field",is,"X-Spam-Flag: YES")`,
			`(From,"not in","boss%d@corp.com,*@partner.com"),("Message Size","less than","10M"),(Subject,is,"*invoice %d*")`,
			`(Source,is,""),("Return-Path","is not","%d*"),("Header Field",in,"X-Junk-Score*XXXXXXXXXX*,List-Id: *list%d*")`,
			`("Human Generated"),("Any Recipient","is not","x%d@*"),("From",is,"*robot%d@*")`,
		}[i%4]
		fmt.Fprintf(&b, `,(%d,rule%d,(%s),((Discard)))`, i%10+1, i, strings.ReplaceAll(cond, "%d", fmt.Sprint(i)))
	}
	return parse(t, Server, "("+b.String()[1:]+")")
}

// usualMail has the header of a message that came through two servers.
func usualMail() *mail {
	return newMail("Return-Path: <ann@far.org>", "Received: from mx.far.org ([192.0.2.1] verified)", "\tby mx.corp.com (Gatepost SMTP)", "\twith ESMTPS id 55001 for joe@corp.com; Tue, 05 Mar 2024 12:00:00 +0100",
		"Received: from [10.0.0.1] (account ann HELO laptop)", "\tby mx.far.org with ESMTPSA id 1; Tue, 05 Mar 2024 11:59:59 +0100",
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=far.org; s=a;", "\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;", "\tb="+strings.Repeat("abcdEFGH", 30),
		"From: Ann Far <ann@far.org>", "To: Joe Doe <joe@corp.com>, Mary <mary@corp0.com>", "Cc: team@corp2.com", "Subject: The plan for the second quarter", "Date: Tue, 5 Mar 2024 11:59:58 +0100",
		"Message-ID: <c0ffee@far.org>", "References: <a@corp.com> <b@far.org>", "User-Agent: Mozilla Thunderbird", "MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Language: en")
}

// BenchmarkHundredRules applies 100 rules of 3 conditions that do not match.
func BenchmarkHundredRules(b *testing.B) {
	set, m := manyRules(b), usualMail()
	in := input(m, Server)
	var r Run
	b.ReportAllocs()
	for b.Loop() {
		r.Start(in, set, nil)
		if step, ok := r.Next(); ok {
			b.Fatal(step.Rule.Name)
		}
	}
}

// BenchmarkHeaderAccess asks for the same parts of the header, without rules.
func BenchmarkHeaderAccess(b *testing.B) {
	m := usualMail()
	in := input(m, Server)
	var r Run
	b.ReportAllocs()
	for b.Loop() {
		r.Start(in, nil, nil)
		r.load()
		for i := range r.fields {
			r.fieldLine(i)
		}
		r.toOrCc()
		r.subject()
		r.from()
		r.recipients()
		r.returnPath()
	}
}

// TestRulesThatDoNotMatchAllocateNothing compares a run of many rules with the access to the header
// alone.
func TestRulesThatDoNotMatchAllocateNothing(t *testing.T) {
	set, m := manyRules(t), usualMail()
	in := input(m, Server)
	var r Run
	with := testing.AllocsPerRun(100, func() {
		r.Start(in, set, nil)
		if step, ok := r.Next(); ok {
			t.Fatal(step.Rule.Name)
		}
	})
	without := testing.AllocsPerRun(100, func() {
		r.Start(in, nil, nil)
		r.load()
		for i := range r.fields {
			r.fieldLine(i)
		}
		r.toOrCc()
		r.subject()
		r.from()
		r.recipients()
		r.returnPath()
	})
	// The race detector has pools lose what is put back now and then: a few allocations more are those. One for
	// each of the rules would be a hundred.
	if with > without+5 {
		t.Errorf("%v allocations with rules, %v without", with, without)
	}
}
