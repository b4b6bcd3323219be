import type { OciSeccomp } from './oci-types';

/**
 * The profile "RuntimeDefault": everything is denied but the calls that ordinary programs make. The same calls as containerd's and Docker's
 * profile (moby/profiles, seccomp/default.json), kept by subject. The kernel's and namespaces' own calls need the capability that they
 * stand for.
 */
const always = `
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek open openat openat2 creat close close_range
  dup dup2 dup3 fcntl fcntl64 ioctl flock fsync fdatasync sync syncfs sync_file_range sync_file_range2 truncate truncate64 ftruncate
  ftruncate64 fallocate fadvise64 fadvise64_64 readahead sendfile sendfile64 splice tee vmsplice copy_file_range
  access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
  chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask utime utimes utimensat utimensat_time64
  futimesat link linkat unlink unlinkat symlink symlinkat readlink readlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod
  mknodat chdir fchdir getcwd getdents getdents64 name_to_handle_at
  getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
  getxattrat setxattrat listxattrat removexattrat
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait
  epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64
  timerfd_settime timerfd_settime64 pipe pipe2
  io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set
  brk mmap mmap2 munmap mprotect mremap msync madvise process_madvise mincore mlock mlock2 mlockall munlock munlockall
  remap_file_pages memfd_create memfd_secret membarrier pkey_alloc pkey_free pkey_mprotect mseal map_shadow_stack cachestat
  process_mrelease rseq
  execve execveat fork vfork exit exit_group wait4 waitid waitpid kill tkill tgkill pidfd_open pidfd_send_signal
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32
  getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid
  setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 getgroups getgroups32 setgroups setgroups32
  capget capset prctl arch_prctl seccomp set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
  rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn pause restart_syscall alarm
  getpriority setpriority getrlimit ugetrlimit setrlimit prlimit64 getrusage times sysinfo uname getcpu getrandom
  sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
  sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64
  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue
  time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep clock_nanosleep_time64 nanosleep
  getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
  adjtimex clock_adjtime clock_adjtime64
  socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send sendto sendmsg
  sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
  ipc shmget shmat shmctl shmdt semget semctl semop semtimedop semtimedop_time64 msgget msgctl msgrcv msgsnd mq_open mq_unlink
  mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
  landlock_create_ruleset landlock_add_rule landlock_restrict_self ptrace process_vm_readv process_vm_writev
`;

const byCapability: Record<string, string> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr mount mount_setattr
    move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns statmount listmount syslog umount umount2
    unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

const architectures: Record<string, string[]> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
};

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const namespaceFlags = 0x7e020000;
const afVsock = 40;
const eperm = 1;
const enosys = 38;
const allow = 'SCMP_ACT_ALLOW';

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

/** The default profile for a container with these capabilities in its bounding set. */
export function defaultSeccomp(capabilities: readonly string[]): OciSeccomp {
  const syscalls: OciSeccomp['syscalls'] = [{ names: words(always), action: allow }];
  // Of sockets only those are refused that lead to the host's hypervisor.
  syscalls.push({ names: ['socket'], action: allow, args: [{ index: 0, value: afVsock, op: 'SCMP_CMP_NE' }] });
  for (const value of [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]) {
    syscalls.push({ names: ['personality'], action: allow, args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] });
  }
  for (const [capability, names] of Object.entries(byCapability)) {
    if (capabilities.includes(capability)) syscalls.push({ names: words(names), action: allow });
  }
  if (!capabilities.includes('CAP_SYS_ADMIN')) {
    // Threads and children, but no new namespaces. clone3 hides its flags in memory: ENOSYS makes the C library use clone.
    const index = process.arch === 's390x' ? 1 : 0;
    syscalls.push({
      names: ['clone'],
      action: allow,
      args: [{ index, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
    });
    syscalls.push({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: enosys });
  }
  if (process.arch === 'x64') syscalls.push({ names: ['modify_ldt'], action: allow });
  if (process.arch === 'arm64') {
    syscalls.push({
      names: words('arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls'),
      action: allow,
    });
  }
  const own = architectures[process.arch];
  return { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: eperm, ...(own ? { architectures: own } : {}), syscalls };
}
