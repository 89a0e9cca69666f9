// Package oidc verifies the tokens of issuers of OpenID Connect, for logins with OAUTHBEARER and XOAUTH2. It implements
// accounts.Tokens; which issuer a domain has is a matter of its settings.
//
// # Tokens
//
// A token is a JWT (RFC 7519) with one signature: RS256, ES256 or EdDSA (RFC 7518, RFC 8037), by a key that the issuer publishes now. No other
// algorithm is looked at: neither "none", nor one with a shared secret, for which the public key could be taken. Where keys are, and which
// one is meant, follows from the issuer's documents: no URL or key in a token is ever used, and its kid is compared with
// those of the keys and nothing else.
//
// It has to be the issuer's (iss), for us (aud), in force (exp, nbf, iat, with a minute to spare) and may be typed as an access token or as
// nothing in particular (RFC 8725 section 3.11). An address that the issuer has not verified (email_verified) names nobody.
//
// A token that is no JWT is shown to the issuer itself (RFC 7662), if the domain has a name and a password for that.
//
// # Keys
//
// Keys are fetched when the first token comes, from jwks_uri of the issuer's /.well-known/openid-configuration, over https or on this machine.
// They are fetched anew after an hour, while those at hand serve for a day, and when a token names a key that is not there, which it may
// do once a minute. Answers are bounded in size and time, redirections are not followed. One fetch per issuer is under way at a time, whoever
// waits for it; nothing is locked meanwhile.
package oidc
