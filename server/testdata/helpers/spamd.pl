#!/usr/bin/perl
# An External Filter that asks spamd: spamd.pl PORT.
use strict;
use IO::Socket::INET;
$| = 1;
sub check {
	my $text = shift;
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]", Timeout => 20) or return qq(REJECTED "spamd: $!");
	print $s "CHECK SPAMC/1.2\r\nContent-length: " . length($text) . "\r\n\r\n$text";
	$s->shutdown(1);
	while (<$s>) {
		next unless m{^Spam: (\w+) ; (-?[\d.]+) / };
		my ($flag, $score) = ($1 eq 'True' ? 'YES' : 'NO', $2);
		my $x = 'X' x ($score < 0 ? 0 : $score > 30 ? 30 : $score);
		return qq(ADDHEADER "X-Junk-Score: $score [$x]\\nX-Spam-Flag: $flag\\n" OK);
	}
	return 'REJECTED "spamd has not answered"';
}
while (my $line = <STDIN>) {
	chomp $line;
	my ($n, $command, $file) = split / /, $line;
	if ($command eq 'INTF') { print "$n INTF 3\n" }
	elsif ($command eq 'QUIT') { print "$n OK\n"; last }
	elsif ($command ne 'FILE') { print "$n FAILURE\n" }
	elsif (!open(my $in, '<', $file)) { print qq($n FAILURE "cannot open file"\n) }
	else {
		while (<$in>) { last if $_ eq "\n" }
		print "$n ", check(join '', <$in>), "\n";
	}
}
