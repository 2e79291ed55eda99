#!/usr/bin/perl
# ESME made of Perl's Net::SMPP (Debian libnet-smpp-perl), SMPP 3.4. Takes the arguments every ESME here takes (README.md).
use strict;
use warnings;
use utf8;
use Encode qw(encode);
use Getopt::Long;
use IO::Select;
use JSON::PP;
use Net::SMPP;
use Time::HiRes qw(sleep time);

use constant STEP_SECONDS_MAX => 10;
binmode STDOUT, ':utf8';
$| = 1;
$SIG{ALRM} = sub { fail('connect: nothing within ' . STEP_SECONDS_MAX . ' s') };

GetOptions(\my %arg, 'port=i', 'system-id=s', 'password=s', 'source=s', 'destination=s', 'smsc-log=s', 'foreign-source=s')
    or exit 2;

my $gsm  = '@ Consentry interop £5 {ok} €';
my $ucs2 = '【互通测试】验证码123456，五分钟内有效。';
my $long = join ' ', map { sprintf 'part of a long text %02d', $_ } 0 .. 15;

sub ok   { print "ok $_[0]\n" }
sub fail { print "failed $_[0]\n"; exit 1 }
sub expect { my ($step, $condition, $what) = @_; $condition ? ok($step) : fail("$step: $what") }

sub log_of_mine {
    open my $log, '<', $arg{'smsc-log'} or return ();
    return grep { ($_->{system_id} // '') eq $arg{'system-id'} } map { decode_json($_) } grep { /\n\z/ } <$log>;
}
my $start = log_of_mine();
sub received { my @all = log_of_mine(); return grep { $_->{command} eq 'submit_sm' } @all[ $start .. $#all ] }

my $smpp = Net::SMPP->new_connect('127.0.0.1', port => $arg{port}, smpp_version => 0x34, async => 1,
    system_id => $arg{'system-id'}, password => $arg{password}, system_type => 'PERL',
    source_addr_npi => 1, dest_addr_ton => 1, dest_addr_npi => 1)
    or fail("connect: $!");
my $select = IO::Select->new($smpp);

# read_pdu blocks and resets any alarm, so each wait asks the socket first. What the SMSC asks is answered on the way.
my @receipts;
sub answer_to {
    my ($step, $seq, $until) = @_;
    my $deadline = time + STEP_SECONDS_MAX;
    while (1) {
        return if $until && $until->();
        my $left = $deadline - time;
        fail("$step: nothing within " . STEP_SECONDS_MAX . ' s') if $left <= 0 || !$select->can_read($left);
        my $pdu = $smpp->read_pdu or fail("$step: the connection closed");
        if ($pdu->cmd == Net::SMPP::CMD_enquire_link) { $smpp->enquire_link_resp(seq => $pdu->seq) }
        elsif ($pdu->cmd == Net::SMPP::CMD_deliver_sm) {
            push @receipts, $pdu;
            $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
        }
        elsif (defined $seq && $pdu->seq == $seq) { return $pdu }
    }
}

sub message {
    my ($step, $text, @how) = @_;
    my $before = received();
    my $last;
    for my $part (@how) {
        my $seq = $smpp->submit_sm(source_addr => $arg{source}, destination_addr => $arg{destination}, %$part);
        $last = answer_to($step, $seq);
        fail("$step: " . $last->explain_status) if $last->status;
    }
    my @got = (received())[ $before .. $before + $#how ];
    my $read = join '', map { $_->{text} // '' } @got;
    expect($step, $read eq $text, "the SMSC read '$read'");
    return $last;
}

my $bound = answer_to('bind_transceiver', $smpp->bind_transceiver);
expect('bind_transceiver', $bound->status == 0, $bound->explain_status);

message('submit_sm GSM', $gsm, { short_message => encode('gsm0338', $gsm) });
message('submit_sm UCS2', $ucs2, { data_coding => 8, short_message => encode('UCS-2BE', $ucs2) });

my @parts = $long =~ /.{1,153}/g;
message('submit_sm in parts, 8-bit reference', $long, map {
    { esm_class => 0x40, short_message => pack('C6', 5, 0, 3, 0x7f, scalar @parts, $_ + 1) . $parts[$_] }
} 0 .. $#parts);
message('submit_sm in parts, SAR', $long, map {
    { short_message => $parts[$_], sar_msg_ref_num => pack('n', 0x1234), sar_total_segments => pack('C', scalar @parts),
      sar_segment_seqnum => pack('C', $_ + 1) }
} 0 .. $#parts);
message('submit_sm with message_payload', $ucs2, { data_coding => 8, message_payload => encode('UCS-2BE', $ucs2) });

my $accepted = message('submit_sm asking for a receipt', $gsm,
    { registered_delivery => 1, short_message => encode('gsm0338', $gsm) });
answer_to('receipt', undef, sub { @receipts });
expect('receipt', $receipts[0]{esm_class} == 4 && index($receipts[0]{short_message}, $accepted->message_id) > 0,
    'not of the last message');

my $state = answer_to('query_sm', $smpp->query_sm(message_id => $accepted->message_id, source_addr => $arg{source}));
expect('query_sm', $state->status == 0 && $state->{message_state} == 2, 'another state');

if ($arg{'foreign-source'}) {
    my $sent = received();
    my $refused = answer_to('foreign source', $smpp->submit_sm(source_addr => $arg{'foreign-source'},
        destination_addr => $arg{destination}, short_message => 'forged'));
    expect('foreign source refused', $refused->status == 0x0A && $refused->{data} eq '', $refused->explain_status);
    message('submit_sm after the refusal', $gsm, { short_message => encode('gsm0338', $gsm) });
    expect('foreign source not at the SMSC', received() == $sent + 1, 'more than one message arrived');
}

expect('enquire_link', answer_to('enquire_link', $smpp->enquire_link)->status == 0, 'refused');
expect('unbind', answer_to('unbind', $smpp->unbind)->cmd == Net::SMPP::CMD_unbind_resp, 'another answer');
close $smpp;
