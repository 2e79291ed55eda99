#!/usr/bin/perl
# An SMSC made of Perl's Net::SMPP (Debian libnet-smpp-perl), the second opinion beside smsc_node.js: the same duties, the
# same log, another program's encoder and decoder.
#
#     perl smsc_net_smpp.pl PORT LOG      PORT 0 takes a free port; the first line printed is "PORT n"
use strict;
use warnings;
use Net::SMPP;
use Encode qw(decode);
use IO::Select;
use JSON::PP;
use POSIX qw(strftime);

my ($port, $log_file) = @ARGV;
$| = 1;
$SIG{TERM} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';
# The module says "Unknown tag" of every vendor parameter and "premature eof" of every ESME that hangs up.
local $SIG{__WARN__} = sub { warn @_ unless $_[0] =~ /Unknown tag|premature eof/ };

open my $log, '>>', $log_file or die "$log_file: $!";
$log->autoflush(1);
my $json = JSON::PP->new->canonical->utf8;

my $server = Net::SMPP->new_listen('127.0.0.1', port => $port, smpp_version => 0x34) or die "cannot listen: $!";
printf "PORT %d\n", $server->sockport;

my %name = map { $_ => Net::SMPP::pdu_tab->{$_}{cmd} } keys %{ Net::SMPP::pdu_tab() };
my $select = IO::Select->new($server);
my (%system_id, %receiver);
my $messages = 0;

sub text_of {
    my ($pdu) = @_;
    my $octets = length($pdu->{short_message} // '') ? $pdu->{short_message} : $pdu->{message_payload} // '';
    my $body = $octets;
    if (($pdu->{esm_class} // 0) & 0x40 && length $body) {
        $body = substr $body, 1 + ord $body;
    }
    my $coding = $pdu->{data_coding} // 0;
    return ($octets, decode('UCS-2BE', $body)) if $coding == 8;
    return ($octets, decode('gsm0338', $body)) if $coding == 0 || $coding == 1;
    return ($octets, decode('iso-8859-1', $body));
}

sub record {
    my ($session, $pdu) = @_;
    my %line = (
        command         => $name{ $pdu->{cmd} } // sprintf('0x%08x', $pdu->{cmd}),
        system_id       => $system_id{ fileno $session },
        sequence_number => $pdu->{seq},
    );
    for my $field (qw(source_addr destination_addr data_coding esm_class)) {
        next if !defined $pdu->{$field};
        $line{$field} = ref $pdu->{$field} ? join(',', @{ $pdu->{$field} }) : $pdu->{$field};
    }
    my ($octets, $text) = text_of($pdu);
    @line{qw(hex text)} = (unpack('H*', $octets), $text) if length $octets;
    $line{in_payload} = JSON::PP::true if defined $pdu->{message_payload};
    $line{sar} = [ map { unpack length($_) == 2 ? 'n' : 'C', $_ } @$pdu{qw(sar_msg_ref_num sar_segment_seqnum sar_total_segments)} ]
        if defined $pdu->{sar_total_segments};
    my @vendor = grep { /^\d+$/ && $_ >= 0x1400 && $_ <= 0x3fff } keys %$pdu;
    $line{vendor} = { map { (sprintf('0x%x', $_) => unpack 'H*', $pdu->{$_}) } @vendor } if @vendor;
    print $log $json->encode(\%line), "\n";
}

sub receipt {
    my ($system_id, $pdu, $message_id) = @_;
    my $session = $receiver{$system_id} or return;
    my $when = strftime '%y%m%d%H%M', gmtime;
    $session->deliver_sm(
        async              => 1,
        source_addr_ton    => $pdu->{dest_addr_ton},   source_addr_npi => $pdu->{dest_addr_npi},
        source_addr        => $pdu->{destination_addr},
        dest_addr_ton      => $pdu->{source_addr_ton}, dest_addr_npi   => $pdu->{source_addr_npi},
        destination_addr   => $pdu->{source_addr},
        esm_class          => 4,
        short_message      => "id:$message_id sub:001 dlvrd:001 submit date:$when done date:$when stat:DELIVRD err:000 text:-",
        receipted_message_id => "$message_id\0",
        message_state        => "\x02",
    );
}

sub hang_up {
    my ($session) = @_;
    my $id = $system_id{ fileno $session };
    delete $receiver{$id} if defined $id && defined $receiver{$id} && $receiver{$id} == $session;
    delete $system_id{ fileno $session };
    $select->remove($session);
    close $session;
}

sub answer {
    my ($session, $pdu) = @_;
    my $command = $name{ $pdu->{cmd} } // 'unknown';
    $system_id{ fileno $session } = $pdu->{system_id} if $command =~ /^bind_\w+(?<!_resp)$/;
    record($session, $pdu);
    my @seq = (seq => $pdu->{seq});
    if ($command =~ /^bind_(transmitter|receiver|transceiver)$/) {
        my $respond = "${command}_resp";
        # The module writes a body even beside an error, which 3.4 forbids and which exists in the field.
        return $session->$respond(@seq, status => 0x0E, system_id => '') if $pdu->{password} eq 'wrong';
        $session->$respond(@seq, system_id => 'SMSC-PERL', sc_interface_version => "\x34");
        $receiver{ $pdu->{system_id} } = $session if $1 ne 'transmitter';
        $session->enquire_link(async => 1);
    }
    elsif ($command eq 'submit_sm' || $command eq 'data_sm') {
        my $message_id = sprintf 'perl-%06x', ++$messages;
        $command eq 'submit_sm' ? $session->submit_sm_resp(@seq, message_id => $message_id)
                                : $session->data_sm_resp(@seq, message_id => $message_id);
        receipt($system_id{ fileno $session }, $pdu, $message_id) if $pdu->{registered_delivery} & 1;
    }
    elsif ($command eq 'submit_multi') {
        # encode_submit_multi_resp insists on an error_status_code, also when nothing failed.
        no warnings 'uninitialized';
        local $SIG{__WARN__} = sub { };
        $session->submit_multi_resp(@seq, message_id => sprintf('perl-%06x', ++$messages), error_status_code => [0]);
    }
    elsif ($command eq 'query_sm') {
        $session->query_sm_resp(message_id => $pdu->{message_id}, final_date => '', message_state => 2, error_code => 0, @seq);
    }
    elsif ($command eq 'unbind') { $session->unbind_resp(@seq); hang_up($session) }
    elsif ($command eq 'enquire_link') { $session->enquire_link_resp(@seq) }
    elsif ($command eq 'cancel_sm')    { $session->cancel_sm_resp(@seq) }
    elsif ($command eq 'replace_sm')   { $session->replace_sm_resp(@seq) }
    elsif (!($pdu->{cmd} & 0x80000000)) { $session->generic_nack(@seq, status => 0x03) }
}

while (1) {
    for my $ready ($select->can_read) {
        if ($ready == $server) {
            my $session = $server->accept or next;
            $select->add($session);
            next;
        }
        my $pdu = $ready->read_pdu;
        $pdu ? answer($ready, $pdu) : hang_up($ready);
    }
}
