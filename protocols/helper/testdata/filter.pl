#!/usr/bin/perl
# A filter in Perl, unbuffered. What it does with a message is the Subject.
use strict;
$| = 1;
print "* filter.pl starts\n";
while (my $line = <STDIN>) {
	chomp $line;
	my ($n, $command, $file) = split / /, $line;
	if ($command eq 'INTF') { print "$n INTF 3\n"; next }
	if ($command eq 'QUIT') { print "$n OK\n"; last }
	if ($command ne 'FILE') { print "$n FAILURE\n"; next }
	open(my $in, '<', $file) or do { print qq($n FAILURE "cannot open file"\n); next };
	my (@rcpt, $subject, $sender);
	while (<$in>) { last if length($_) <= 1; push @rcpt, $1 if /^R.+<(.+)>/; $sender = $1 if /^P.+<(.*)>/ }
	while (<$in>) { last if length($_) <= 1; $subject = $1 if /^Subject: (.*)$/ }
	my $crs = grep { /\r/ } <$in>;
	if ($subject eq 'virus') { print qq($n ERROR "\\nWARNING! a virus\\n"\n) }
	elsif ($subject eq 'drop') { print "$n DISCARD\n" }
	elsif ($subject eq 'later') { print qq($n REJECTED "No connection to the filter"\n) }
	elsif ($subject eq 'crash') { print STDERR "out of memory\n"; exit 3 }
	else { print qq($n ADDHEADER "X-From: $sender\\nX-To: @rcpt\\nX-CR: $crs\\n" OK\n) }
}
