// Package address is the vocabulary of mail addresses, as the router sees them.
package address

// Address is one address: the domain names the next system to deliver to,
// everything else is the local part. The zero Address is the null return-path <>.
type Address struct {
	// Local is the local part without quoting; it may itself be a complex
	// address (a@b, a%b) that is looked at once the domain part is cut off.
	Local string
	// Domain is in lower case, with A-labels and without a trailing dot; or a
	// literal such as [192.0.2.1]; or empty, which means the Main Domain.
	Domain string
}
