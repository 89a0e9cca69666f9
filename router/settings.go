package router

// Settings of the router, Settings/Router.settings.
type Settings struct {
	// Table is the Router Table, lines separated by line ends.
	Table string `key:"RouterTable" level:"basic" since:"0.1" help:"records that rewrite addresses, one per line, tried from the top"`
	// NonQualifiedSuffix completes domain names without a dot.
	NonQualifiedSuffix string `key:"NonQualifiedSuffix" level:"advanced" since:"0.1" help:"added to domain names without a dot; empty for the Main Domain's name"`
}

// Validate checks the table and the suffix.
func (s *Settings) Validate() error {
	_, err := compile(s)
	return err
}

// StockTable is the table that a new server starts with.
const StockTable = `; Router Table: every address goes through these records from the top; the first
; one that applies rewrites it, and the new address starts again from the top.
;
;   <name> = address              a name in the Main Domain
;   <name@domain> = address       a name in another domain
;   domain = domain               all of a domain
;   * (3d) (7-20d) (2h)           any text, digits, hexadecimal digits; * on the right is what they took
;   Relay: before a record lets anyone send through it: use it with care.
;   Mail: Access: Signal:         limit a record to mail, logins or calls.

NoRelay:Mail:<root>          = postmaster
NoRelay:Mail:<mailer-daemon> = postmaster
NoRelay:Mail:<abuse>         = postmaster
NoRelay:Mail:<hostmaster>    = postmaster

; <sales> = john                                     ; another name for one account
; old.com = company.com                              ; a domain under a new name
; client.com = clientaccount.local                   ; all mail of a domain into one account
; Relay:friend.com = friend.com@fw.friend.com._via   ; a domain that we relay to a host
; <director> = spamtrap                              ; a trap for address collectors
; <+(7-20d)@*> = +*@telnum                           ; telephone numbers
; Signal:telnum = pstn                               ; ... that belong to nobody here
; Signal:<*@pstn> = gatewaycaller{*}#pbx             ; ... go to the gateway
`
