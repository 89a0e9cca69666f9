package relay

// largeText is the size from which a message is sent in a chunk (RFC 3030) where that is offered: there its
// lines need not be looked at one by one, for dots. A smaller one gains nothing.
const largeText = 64 << 10

// chunked reports whether the message is sent by BDAT.
func (t *transaction) chunked() bool {
	return t.binary() || t.c.ext.chunking && t.size() >= largeText
}

// pipelinedChunk sends the message after the replies to MAIL and RCPT. Nothing was sent ahead that
// would have to be got over if nobody is left to receive it.
func (t *transaction) pipelinedChunk(mail reply, replies []reply) ([]target, error) {
	if mail.code != 250 {
		t.settleAll(mail.status("return-path rejected by", t.host))
		return nil, nil
	}
	again, accepted := t.judgeRecipients(replies)
	if len(accepted) == 0 {
		return again, nil
	}
	return again, t.chunk(accepted)
}
