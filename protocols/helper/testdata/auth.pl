#!/usr/bin/perl
# External Authentication in Perl, which reads its lines as real scripts do: split at single blanks.
use strict;
$| = 1;
sub unquote {
	my $s = shift;
	return $s unless $s =~ /^"(.*)"$/;
	$s = $1;
	$s =~ s/\\(\d\d\d|.)/length($1) == 3 ? chr($1) : $1/ge;
	return $s;
}
while (my $line = <STDIN>) {
	chomp $line;
	my ($n, $command, @args) = split / /, $line;
	shift @args if @args && $args[0] =~ /^\(/;
	my ($who, $password) = ($args[0], unquote($args[1] // ''));
	if ($command eq 'INTF') { print "$n INTF 3\n" }
	elsif ($command eq 'QUIT') { print "$n OK\n"; last }
	elsif ($command eq 'VRFY') {
		if ($who ne 'alice@example.com' || @args != 2) { print "$n ERROR unknown account\n" }
		elsif ($password eq 'broken') { print "$n FAILURE LDAP server is not available\n" }
		elsif (grep { $password eq $_ } 'secret', 'a b"c\\d', '$x ' . "\xd0\xb6\xd1\x8b") { print "$n OK\n" }
		else { print "$n ERROR incorrect password\n" }
	}
	elsif ($command eq 'NEW') {
		if ($who =~ /^new@/) { print "* created $who\n$n OK\n" }
		elsif ($who =~ /^down@/) { print "$n FAILURE LDAP server is not available\n" }
		else { print "$n ERROR unknown account\n" }
	}
	elsif ($command eq 'PASSWD') { print length($password) > 0 && $password ne 'short' ? "$n OK\n" : "$n ERROR too short\n" }
	elsif ($command eq 'READPLAIN' && $who =~ /^alice/) { print qq($n PLAIN "p \\"q\\" r"\n) }
	else { print "$n FAILURE not supported\n" }
}
