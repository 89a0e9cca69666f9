#!/usr/bin/perl
# External Authentication over LDAP: ldap.pl URI BASE PWDPORT. It makes accounts through the command line of the
# server, which waits for its answer meanwhile; PWDPASSWORD is postmaster's.
use strict;
use IO::Socket::INET;
$| = 1;
my ($uri, $base, $port) = @ARGV;
sub unquote {
	my $s = shift;
	return $s unless $s =~ s/^"(.*)"$/$1/;
	$s =~ s/\\(\d\d\d|.)/length($1) == 3 ? chr($1) : $1/ge;
	return $s;
}
# bound reports whether a bind succeeds: 0, or the code of LDAP.
sub bound {
	my ($dn, $password) = @_;
	return 49 if $password eq '';
	pipe(my $out, my $in);
	my $pid = fork;
	if (!$pid) {
		close $in;
		open STDIN, '<&', $out;
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec 'ldapwhoami', '-x', '-H', $uri, '-D', $dn, '-y', '/dev/stdin';
	}
	print $in $password;
	close $in;
	waitpid $pid, 0;
	return $? >> 8;
}
sub exists_there {
	my $name = shift;
	return -1 unless open my $out, '-|', 'ldapsearch', '-x', '-LLL', '-H', $uri, '-b', $base, "(uid=$name)", 'dn';
	my @found = grep { /^dn: / } <$out>;
	close $out;
	return $? ? -1 : scalar @found;
}
sub command {
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 10) or return 0;
	my $answer = <$s>;
	for my $line ('USER postmaster', "PASS $ENV{PWDPASSWORD}", @_) {
		print $s "$line\r\n";
		$answer = <$s>;
		return 0 unless $answer =~ /^[23]/;
	}
	return 1;
}
$ENV{PWDPASSWORD} = $ARGV[3];
while (my $line = <STDIN>) {
	chomp $line;
	my ($n, $command, @args) = split / /, $line;
	shift @args if @args && $args[0] =~ /^\(/;
	my ($who, $password) = ($args[0], unquote($args[1] // ''));
	my ($name) = $who =~ /^([\w.-]+)@/;
	if ($command eq 'INTF') { print "$n INTF 3\n" }
	elsif ($command eq 'QUIT') { print "$n OK\n"; last }
	elsif ($command eq 'VRFY') {
		my $code = bound("uid=$name,$base", $password);
		print $code == 0 ? "$n OK\n" : $code == 49 ? "$n ERROR incorrect password\n" : "$n FAILURE LDAP server is not available\n";
	}
	elsif ($command eq 'NEW') {
		my $found = exists_there($name);
		if ($found < 0) { print "$n FAILURE LDAP server is not available\n" }
		elsif (!$found) { print "$n ERROR unknown account\n" }
		elsif (command("CREATEACCOUNT $who {UseExtPassword=YES;UseAppPassword=NO;}")) { print "* created $who\n$n OK\n" }
		else { print "$n FAILURE the account cannot be made\n" }
	}
	else { print "$n FAILURE not supported\n" }
}
