/**
 * These have numbers of their own on x86-64; the other architectures share a table. Source: linux/arch/x86/entry/syscalls,
 * linux/include/uapi/asm-generic/unistd.h.
 */
const callsOfX64 = { mount: 165, umount: 166, exitGroup: 231, unshare: 272, setns: 308 };
const callsOfOthers = { mount: 40, umount: 39, exitGroup: 94, unshare: 97, setns: 268 };

/**
 * Reads requests: a length, then texts, each behind its length (32 bits, big-endian): an id, files for input, output and errors, and steps (steps.ts), each
 * behind the number of its texts. A child of its own does them. When it has ended, a line tells: id, exit code (128 + signal), 1 if it has written something.
 * A request of an id alone has that child killed. At the end of the requests it leaves.
 *
 * Ends are told by descriptors of the children, as requests are: so one wait hears of both, and nobody else has the pid of one whose end is not known.
 * Source: pidfd_open(2), mount(2), umount2(2), unshare(2), setns(2), netdevice(7).
 */
const program = `
use strict;
my ($mount, $umount, $exitGroup, $unshare, $setns) = map { $_ + 0 } splice @ARGV;
my ($pidfdOpen, $setDescriptorFlags, $detachNoFollow, $getFlags, $setFlags, $up) = (434, 2, 10, 0x8913, 0x8914, 1);
my ($noSuchFile, $interrupted, $invalid) = (2, 4, 22);
my (%running, %descriptors, $requests, $watched);

my %steps = (
  chdir => sub { chdir $_[0] or die "$_[0]: $!\\n" },
  env => sub { $ENV{$_[0]} = $_[1] },
  write => sub {
    my ($file, $content) = @_;
    my $handle;
    open($handle, '>', $file) && defined syswrite($handle, $content) or die "$file: $!\\n";
  },
  unshare => sub { syscall($unshare, $_[0] + 0) == 0 or die "unshare: $!\\n" },
  enter => sub {
    for (@_) {
      my $namespace;
      open($namespace, '<', $_) && syscall($setns, fileno $namespace, 0) == 0 or die "$_: setns: $!\n";
    }
  },
  root => sub { ($), $() = ('0 0', 0); ($<, $>) = (0, 0) },
  mount => sub {
    my ($source, $target, $type, $flags, $data) = @_;
    syscall($mount, $source, $target, $type, $flags + 0, $data) == 0 or die "$target: mount: $!\\n";
  },
  unmount => sub {
    my ($target) = @_;
    1 while syscall($umount, $target, $detachNoFollow) == 0;
    $! == $invalid || $! == $noSuchFile or die "$target: umount: $!\\n";
  },
  raise => sub {
    socket(my $socket, 2, 2, 0) or die "socket: $!\\n";
    my $request = pack('a16 x24', $_[0]);
    ioctl($socket, $getFlags, $request) or die "$_[0]: $!\\n";
    $request = pack('a16 s x22', $_[0], unpack('x16 s', $request) | $up);
    ioctl($socket, $setFlags, $request) or die "$_[0]: $!\\n";
  },
  exec => \\&become,
  told => sub {
    my ($variable, @command) = @_;
    pipe(my $reader, my $writer) or die "pipe: $!\\n";
    defined(my $pid = fork) or die "fork: $!\\n";
    if ($pid == 0) {
      fcntl($writer, $setDescriptorFlags, 0);
      $ENV{$variable} = fileno $writer;
      open(STDOUT, '>', '/dev/null');
      become(@command);
    }
    close $writer;
    my $line = readline $reader;
    syswrite STDOUT, $line if defined $line;
    waitpid $pid, 0;
  },
);

sub become {
  no warnings 'exec';
  exec { $_[0] } @_;
  syswrite STDERR, "$_[0]: " . ($! == $noSuchFile ? 'not found' : $!) . "\\n";
  leave(127);
}

# Without taking itself apart first.
sub leave { syscall($exitGroup, $_[0]) }

sub work {
  my ($input, $output, $errors, @texts) = @_;
  open(STDIN, '<', $input) && open(STDOUT, '>', $output) && open(STDERR, '>', $errors) or leave(126);
  while (defined(my $count = shift @texts)) {
    my ($name, @arguments) = splice @texts, 0, $count;
    eval { $steps{$name}->(@arguments); 1 } or do { syswrite STDERR, $@; leave(1) };
  }
  leave(0);
}

sub request {
  my ($id, @request) = @_;
  return kill 'KILL', $running{$id} // () unless @request;
  my $pid = fork;
  work(@request) if defined $pid && $pid == 0;
  my $descriptor = defined $pid ? syscall($pidfdOpen, $pid, 0) : -1;
  if ($descriptor < 0) {
    kill 'KILL', $pid and waitpid $pid, 0 if $pid;
    return tell_of($id, 126, 0);
  }
  open(my $handle, '<&=', $descriptor);
  $running{$id} = $pid;
  $descriptors{$descriptor} = [$handle, $id, @request[1, 2]];
  vec($watched, $descriptor, 1) = 1;
}

sub tell_of { syswrite STDOUT, "@_\\n" }

sub ended {
  my ($handle, $id, $output, $errors) = @{delete $descriptors{$_[0]}};
  vec($watched, $_[0], 1) = 0;
  waitpid delete $running{$id}, 0;
  my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
  close $handle;
  tell_of($id, $code, -s $output || -s $errors ? 1 : 0);
}

vec($watched, 0, 1) = 1;
for (;;) {
  my $ready = $watched;
  if (select($ready, undef, undef, undef) < 0) {
    next if $! == $interrupted;
    die "select: $!\\n";
  }
  vec($ready, $_, 1) and ended($_) for keys %descriptors;
  next unless vec($ready, 0, 1);
  sysread(STDIN, $requests, 65536, length $requests) or last;
  while (length $requests >= 4 && length $requests >= 4 + unpack('N', $requests)) {
    request(unpack '(N/a)*', unpack 'N/a', $requests);
    substr($requests, 0, 4 + unpack('N', $requests)) = '';
  }
}
`;

/** Program and arguments. */
export function spawnerCommand(): [file: string, ...args: string[]] {
  const { mount, umount, exitGroup, unshare, setns } = process.arch === 'x64' ? callsOfX64 : callsOfOthers;
  return ['perl', '-e', program, ...[mount, umount, exitGroup, unshare, setns].map(String)];
}
