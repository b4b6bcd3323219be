/**
 * Both ends of the connections of service-path.ts, in Perl: its calls are the kernel's, so that what is measured are
 * microseconds of the kernel's work and not an event loop's.
 *
 * `serve PORT`: says "ready", takes connections, reads each to its end and answers how many bytes came.
 * `connect`: reads lines of `ADDRESS PORT`, connects to each in turn, and prints the microseconds that each took.
 * `send ADDRESS PORT SECONDS`: sends as much as it can for so long, and prints the gigabits a second that arrived.
 */
export const peer = String.raw`
use strict;
use warnings;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
$| = 1;
my ($role, @arguments) = @ARGV;
sub now { return clock_gettime(CLOCK_MONOTONIC) }
sub new_socket { socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n"; return $socket }
sub target { my ($address, $port) = @_; return pack_sockaddr_in($port, inet_aton($address)) }

if ($role eq 'serve') {
  my $listener = new_socket();
  setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
  bind($listener, target('0.0.0.0', $arguments[0])) or die "bind: $!\n";
  listen($listener, 4096) or die "listen: $!\n";
  print "ready\n";
  while (1) {
    accept(my $connection, $listener) or next;
    my ($total, $buffer) = (0);
    while (my $count = sysread($connection, $buffer, 1 << 18)) { $total += $count }
    local $SIG{PIPE} = 'IGNORE';
    syswrite($connection, "$total\n");
    close $connection;
  }
} elsif ($role eq 'connect') {
  my @targets = map { chomp; [$_, target(split ' ')] } <STDIN>;
  my @took;
  for my $pair (@targets) {
    my ($name, $address) = @$pair;
    my $socket = new_socket();
    # Closed by a reset: no state of it is kept that could run out.
    setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    my $begun = now();
    connect($socket, $address) or die "connect to $name: $!\n";
    push @took, (now() - $begun) * 1e6;
    close $socket;
  }
  print join("\n", @took), "\n";
} elsif ($role eq 'send') {
  my ($address, $port, $seconds) = @arguments;
  my $socket = new_socket();
  connect($socket, target($address, $port)) or die "connect to $address: $!\n";
  my $block = "\0" x (1 << 17);
  my $begun = now();
  while (now() - $begun < $seconds) { syswrite($socket, $block) or die "send to $address: $!\n" }
  shutdown($socket, 1);
  my $total = <$socket>;
  die "no answer of $address\n" unless defined $total;
  print $total * 8 / (now() - $begun) / 1e9, "\n";
} else {
  die "there is no role $role\n";
}
`;
