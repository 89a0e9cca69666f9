// Package autoconfig tells mail, calendar and contact programs their settings, for every domain of the server and each of its
// aliases. It is mounted on HTTPU:
//
//	/mail/config-v1.1.xml                               Mozilla's format, at autoconfig.DOMAIN
//	/.well-known/autoconfig/mail/config-v1.1.xml        the same at DOMAIN
//	/autodiscover/autodiscover.xml                      Microsoft's POX autodiscover, in any case
//	/autodiscover/autodiscover.json                     its version 2, which leads to the former
//	/apple/ADDRESS.mobileconfig                         a configuration profile of Apple's systems
//	/setup/                                             a page for people, with a QR code of the profile
//
// # What strangers learn
//
// Which domains there are, and what listeners; nothing about accounts. The answer depends on the domain of an address alone.
//
// # What is told
//
// Listeners with TLS that are open to the client, services that the domain offers, and calendars and contacts if the client may
// reach these parts. Programs log in with the whole address.
//
// Sources: https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat, [MS-OXDSCLI], Apple's Configuration Profile
// Reference. RFC 6764 is answered by packages protocols/dav (/.well-known) and server/dnsdoctor (records).
package autoconfig
