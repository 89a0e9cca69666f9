package imap

import "strconv"

// capabilities returns the capabilities of the session's state (RFC 9051 section 6.1.1). Only what
// works is listed. Golden files hold the list of each state.
func (s *session) capabilities() []byte {
	b := make([]byte, 0, 400)
	if s.account == nil {
		return s.strangersCapabilities(b)
	}
	b = append(b, "IMAP4rev1 IMAP4rev2 LITERAL+ IDLE NOTIFY NAMESPACE ENABLE ID UIDPLUS UNSELECT CHILDREN ESEARCH SEARCHRES SEARCH=FUZZY WITHIN CONTEXT=SEARCH CONTEXT=SORT MULTISEARCH COMPRESS=DEFLATE UNAUTHENTICATE LANGUAGE UIDONLY UIDBATCHES PARTIAL SORT SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT MOVE REPLACE MULTIAPPEND CATENATE CONDSTORE QRESYNC OBJECTID SAVEDATE PREVIEW BINARY INPROGRESS METADATA LIST-METADATA ACL RIGHTS=texk LIST-MYRIGHTS QUOTA QUOTA=RES-STORAGE QUOTA=RES-MAILBOX"...)
	if limit := s.srv.cfg.Get().MaxMessageSize; limit >= 0 {
		b = append(b, " APPENDLIMIT="...) // RFC 7889
		b = strconv.AppendInt(b, int64(limit), 10)
	}
	return append(b, " SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE UTF8=ACCEPT"...)
}

// strangersCapabilities are the capabilities before the login. IDLE and ENABLE cannot be used yet, but
// Python's imaplib reads only this list.
func (s *session) strangersCapabilities(b []byte) []byte {
	b = append(b, "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE"...)
	if s.tlsOffered() {
		b = append(b, " STARTTLS"...)
	}
	plain := s.srv.auth.PlainAllowed(s.peer)
	for _, m := range s.srv.auth.Mechanisms(s.ctx, s.peer, plain, s.conn.tlsState()) {
		b = append(b, " AUTH="...)
		b = append(b, m...)
	}
	if !plain {
		b = append(b, " LOGINDISABLED"...)
	}
	return b
}

func (s *session) tlsOffered() bool {
	return s.startTLS && !s.peer.TLS && s.srv.tls() != nil
}
