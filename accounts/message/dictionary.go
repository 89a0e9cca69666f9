package message

// dictionary lists the words that are most frequent in the structure of messages. It saves
// memory when a structure is read, and space when it is stored: Marshal writes the
// number of a word. So words may only be added, and only at the end.
var dictionary = [...]string{
	"text", "plain", "html", "multipart", "mixed", "alternative", "related", "application", "octet-stream",
	"image", "jpeg", "png", "gif", "message", "rfc822", "report", "signed", "delivery-status",
	"charset", "boundary", "name", "filename", "format", "flowed", "delsp", "yes", "type", "report-type",
	"us-ascii", "utf-8", "UTF-8", "iso-8859-1", "ISO-8859-1", "windows-1252", "US-ASCII", "koi8-r", "windows-1251",
	"7bit", "8bit", "binary", "quoted-printable", "base64", "inline", "attachment",
	"pdf", "zip", "calendar", "method", "REQUEST", "disposition-notification",
	"pgp-signature", "pkcs7-signature", "pkcs7-mime", "protocol", "micalg", "size", "creation-date",
	"modification-date", "start", "digest", "global", "audio", "video", "mp4", "mpeg", "csv", "xml", "json",
	"rtf", "msword", "vnd.openxmlformats-officedocument.wordprocessingml.document", "x-zip-compressed", "smime-type",
	"filename*", "name*", "filename*0*", "filename*1*", "rfc822-headers", "webp", "svg+xml",
}

// wordNumbers has the number of each word in the dictionary.
var wordNumbers = func() map[string]int {
	m := make(map[string]int, len(dictionary))
	for i, w := range dictionary {
		m[w] = i
	}
	return m
}()

// intern returns b in lower case as a string.
func intern(b []byte) string {
	var room [64]byte
	low := room[:0]
	for _, c := range b {
		low = append(low, lower(c))
	}
	return internAsIs(low)
}

// internAsIs returns b as a string.
func internAsIs(b []byte) string {
	if i, ok := wordNumbers[string(b)]; ok {
		return dictionary[i]
	}
	return string(b)
}
