import os from 'node:os';

/**
 * What the relay asks of the kernel that Perl has no word for. These two have numbers of their own on x86-64; the other
 * architectures share a table. Source: linux/arch/x86/entry/syscalls, linux/include/uapi/asm-generic/unistd.h.
 */
const callsOfX64 = { recvmsg: 47, prctl: 157 };
const callsOfOthers = { recvmsg: 212, prctl: 167 };

/** How long a command may go on after its terminal has hung up. */
const hangupSeconds = 5;
/** After the command has ended, how long its terminal may stay open in silence: a child in the background holds it. */
const silenceSeconds = 1;

/**
 * Has an OCI runtime start a command and hand its terminal over (`--console-socket`), a descriptor in a message, which Node cannot
 * receive; then carries the terminal's bytes. So there is one terminal, not one within another, and it is read to its end, which crun's own
 * relay does not do. The command becomes a child of this process, which so hears of its end and ends with its code.
 *
 * Nothing is read that cannot be handed on: whoever takes the output slowly, or types more than the command reads, is waited for.
 * A process that has ended is reaped at once, whoever waits: the init process of its PID namespace cannot end before (pid_namespaces(7)), and
 * so neither its container. In the host's namespace, what the command leaves behind comes here too.
 * A terminal that nobody has open any more says EIO, at once and each time; while the command runs it may be opened again.
 * Source: unix(7), cmsg(3), ioctl_tty(2), pidfd_open(2), docs/adr/0010.
 */
const program = `
use strict;
my ($recvmsg, $prctl, $hangup, $silence, $directory, $name, $pidFile, @command) = @ARGV;
my ($setChildSubreaper, $pidfdOpen, $closeOnExec, $setWindowSize) = (36, 434, 0x40000000, 0x5414);
my ($setFlags, $readWrite, $nonBlocking, $chunk, $noHang) = (4, 2, 04000, 65536, 1);
$SIG{PIPE} = 'IGNORE';
chdir $directory or die "$directory: $!\\n";
open(my $control, '<&=', 3) or die "control: $!\\n";

syscall($prctl, $setChildSubreaper, 1, 0, 0, 0) == 0 or die "prctl: $!\\n";
socket(my $listener, 1, 1, 0) or die "socket: $!\\n";
bind($listener, pack('S a*', 1, $name)) && listen($listener, 1) or die "$name: $!\\n";
defined(my $starter = fork) or die "fork: $!\\n";
if ($starter == 0) {
  close $control;
  open(STDIN, '<', '/dev/null') && open(STDOUT, '>', '/dev/null') or die "/dev/null: $!\\n";
  exec { $command[0] } @command or die "$command[0]: $!\\n";
}
waitpid($starter, 0);
my $failed = $?;
unlink $name;
exit($failed >> 8 || 255) if $failed;

accept(my $connection, $listener) or die "accept: $!\\n";
my ($text, $rights) = ("\\0" x 4096, "\\0" x 24);
my $vector = pack('P Q', $text, length $text);
my $message = pack('x16 P Q P Q x8', $vector, 1, $rights, length $rights);
syscall($recvmsg, fileno $connection, $message, $closeOnExec) >= 0 or die "recvmsg: $!\\n";
my ($length, $level, $type, $descriptor) = unpack('Q l l l', $rights);
die "no terminal has come\\n" unless $length == 20 && $type == 1;
open(my $terminal, '+<&=', $descriptor) or die "terminal: $!\\n";
close $connection;
close $listener;
fcntl($terminal, $setFlags, $readWrite | $nonBlocking);
fcntl(STDOUT, $setFlags, $readWrite | $nonBlocking);

open(my $file, '<', $pidFile) or die "$pidFile: $!\\n";
chomp(my $pid = <$file>);
my $process = syscall($pidfdOpen, $pid + 0, 0);
die "pidfd_open: $!\\n" if $process < 0;

my ($input, $output, $sizes, $typing, $closed, $ended, $status) = ('', '', '', 1, 0, 0, 0);
until ($ended && $closed && $output eq '') {
  while ((my $child = waitpid(-1, $noHang)) > 0) {
    ($ended, $closed, $status) = (1, 0, $?) if $child == $pid;
  }
  my ($read, $write) = ('', '');
  vec($read, 3, 1) = 1;
  vec($read, 0, 1) = 1 if $typing && $input eq '';
  vec($read, fileno $terminal, 1) = 1 if $output eq '' && !$closed;
  vec($read, $process, 1) = 1 if !$ended;
  vec($write, 1, 1) = 1 if $output ne '';
  vec($write, fileno $terminal, 1) = 1 if $input ne '' && !$closed;
  my $wait = $closed && !$ended ? 0.1 : $ended && $output eq '' ? $silence : undef;
  my $ready = select($read, $write, undef, $wait);
  next if $ready < 0;
  last if $ready == 0 && $ended;
  $closed = 0 if $ready == 0;

  if (vec($read, 3, 1)) {
    last unless sysread($control, $sizes, $chunk, length $sizes);
    ioctl($terminal, $setWindowSize, pack('S4', $1, $2, 0, 0)) while $sizes =~ s/^(\\d+) (\\d+)\\n//;
  }
  $typing = sysread(STDIN, $input, $chunk) if vec($read, 0, 1);
  $closed = 1 if vec($read, fileno $terminal, 1) && !sysread($terminal, $output, $chunk) && !$!{EAGAIN};
  if (vec($write, fileno $terminal, 1)) {
    my $written = syswrite($terminal, $input);
    if (defined $written) { substr($input, 0, $written, '') } elsif (!$!{EAGAIN}) { $input = '' }
  }
  if (vec($write, 1, 1)) {
    my $written = syswrite(STDOUT, $output);
    if (defined $written) { substr($output, 0, $written, '') } elsif (!$!{EAGAIN}) { last }
  }
}

close $terminal;
unless ($ended) {
  my $read = '';
  vec($read, $process, 1) = 1;
  kill 9, $pid unless select($read, undef, undef, $hangup) == 1;
  waitpid($pid, 0);
  $status = $?;
}
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
`;

export interface TerminalRelayRequest {
  /** For the socket; the relay removes it. */
  directory: string;
  /** Of the socket. */
  name: string;
  /** The OCI runtime writes the command's process there. */
  pidFile: string;
  /** Calls the OCI runtime, given the arguments that have it hand over the terminal and leave. */
  command: (handOver: readonly string[]) => readonly string[];
}

/**
 * A command of this machine that runs another one on a terminal of a container: 0 is what is typed, 1 what the terminal shows, 3 takes
 * sizes as lines `ROWS COLUMNS`. When 3 is closed the terminal hangs up, so also when whoever has started the relay is killed.
 * It ends with the command's exit code, or as the OCI runtime ended that could not start it, and says on 2 what else went wrong.
 */
export function terminalRelay(request: TerminalRelayRequest): { program: string; args: string[] } {
  const { recvmsg, prctl } = os.arch() === 'x64' ? callsOfX64 : callsOfOthers;
  const { directory, name, pidFile } = request;
  const numbers = [recvmsg, prctl, hangupSeconds, silenceSeconds].map(String);
  const command = request.command(['--detach', '--console-socket', name]);
  return { program: 'perl', args: ['-e', program, ...numbers, directory, name, pidFile, ...command] };
}
