# The root of an agent's pane: runs the program that the launch file names as its child, waits
# for it, and writes how it ended to FILE.code. While something of it stands still because hive
# stopped it, it watches the lease FILE.held: when nobody has touched that for PATIENCE seconds,
# it lets everything go on. launcher.py does the same where perl is missing.
use strict;

my ($file, $patience) = (@ARGV, 10);

sub end_with { my ($code, $what) = @_; print STDERR "hive: $what\n"; exit $code }

open(my $in, '<:raw', $file) or end_with(75, "nothing to run, $file: $!");
my ($version, $prctl, $directory, @rest) = split(/\0/, do { local $/; <$in> }, -1);
close($in);
pop(@rest) eq 'end' && $version eq 'hive 2' or end_with(75, "the launch file is damaged: $file");
my @join = splice(@rest, 0, shift(@rest));
my @env = splice(@rest, 0, shift(@rest));
my @argv = @rest;
unlink("$file.code");

# Control groups hold what is put into them, and all that it starts. hive looks afterwards
# whether this went well.
write_to($_, '0') for @join;

# What the program's children leave behind stays below this process (PR_SET_CHILD_SUBREAPER).
# The number is the one of a 64-bit system call.
syscall($prctl, 36, 1, 0, 0, 0) if $prctl && length(pack('P', 0)) == 8;

# The terminal sends these to the program as well, and what becomes of it must still be told.
my @of_terminal = qw(INT QUIT TSTP TTIN TTOU);
my @passed_on = qw(HUP TERM USR1 USR2);
my ($child, @early);
$SIG{$_} = 'IGNORE' for @of_terminal;
$SIG{$_} = \&pass_on for @passed_on;

# A hangup means that the pane was closed: nobody asks for the exit code then.
sub pass_on {
    my ($name) = @_;
    $child ? kill($name, $child) : push(@early, $name);
    exit 129 if $name eq 'HUP';
}

$child = fork();
end_with(71, "can't fork: $!") unless defined $child;
become_program() unless $child;
kill($_, $child) for @early;

# WUNTRACED is 2 everywhere; what was stopped has 127 where a signal's number would be.
# A signal that comes just before the wait is only seen when another one ends that: the alarm.
my $every = int($patience / 5) || 1;
my ($touched, $looks, $pid, $stopped) = (0, 0);
$SIG{ALRM} = \&watch;
do {
    alarm(1);
    $pid = waitpid(-1, 2);
    $stopped = $pid > 0 && (${^CHILD_ERROR_NATIVE} & 255) == 127;
    $looks = 0 if $stopped;
} until $pid == -1 || $pid == $child && !$stopped;
my ($code, $signal) = ($? >> 8, $? & 127);
alarm(0);

umask(0077);
if (open(my $out, '>', "$file.code.new")) {
    print $out $signal ? -$signal : $code;
    close($out) and rename("$file.code.new", "$file.code");
}
exit($signal ? 128 + $signal : $code);

sub write_to {
    my ($path, $text) = @_;
    open(my $out, '+<', $path) or return;
    syswrite($out, $text);
}

# Looks at the lease again and again while there is one, or the program stands still. It counts
# its own looks: a clock may jump.
sub watch {
    local ($?, $!);
    my $lease = (stat("$file.held"))[9] || 0;
    $looks = $lease == $touched ? $looks + 1 : 0;
    $touched = $lease;
    if ($lease && $looks * $every >= $patience) { let_go(); unlink("$file.held"); $lease = 0 }
    alarm($every) if $lease || grep { $_->[2] =~ /^T/ } processes($child);
}

# Lets all below this process go on, children first, but for what others had stopped.
sub let_go {
    my (%others, %children, @also);
    if (open(my $in, '<', "$file.held")) {
        for (map { [split] } <$in>) {
            $others{$_->[1]} = 1 if $_->[0] eq 'not';
            push(@also, $_->[1]) if $_->[0] eq 'also';
        }
    }
    my @all = processes();
    push(@{$children{$_->[1]}}, $_) for @all;
    my @tree = (@{$children{$$} || []}, grep { my $one = $_; grep { $_ == $one->[0] } @also } @all);
    for (my $i = 0; $i < @tree; $i++) { push(@tree, @{$children{$tree[$i][0]} || []}) }
    kill('CONT', $_->[0]) for grep { $_->[2] =~ /^T/ && !$others{$_->[0]} } reverse(@tree);
}

# Gives pid, parent and state of these processes, or of all.
sub processes {
    my @pids = @_;
    if (!-e "/proc/$$/stat") {
        my $which = @pids ? "-p @pids" : '-ax';
        return map { [split] } `ps $which -o pid=,ppid=,state=`;
    }
    if (!@pids && opendir(my $proc, '/proc')) { @pids = grep { /^\d+$/ } readdir($proc) }
    my @found;
    for my $pid (@pids) {
        open(my $in, '<', "/proc/$pid/stat") or next;
        my ($state, $parent) = do { local $/; <$in> } =~ /.*\) (\S) (\d+)/s or next;
        push(@found, [$pid, $parent, $state]);
    }
    return @found;
}

sub become_program {
    $SIG{$_} = 'DEFAULT' for @of_terminal, @passed_on;
    # The person, tmux and hive come first: for the processor, and when the memory is gone.
    write_to("/proc/$$/oom_score_adj", '500');
    setpriority(0, 0, getpriority(0, 0) + 5);
    my %term = map { $_ => $ENV{$_} } grep { exists $ENV{$_} } qw(TERM TERM_PROGRAM TERM_PROGRAM_VERSION);
    %ENV = (%term, map { split(/=/, $_, 2) } @env);
    chdir($directory) or end_with(126, "can't enter `$directory`: $!");
    exec { $argv[0] } @argv;
    my ($why, $missing) = ("$!", $! == 2);
    end_with($missing ? 127 : 126, "can't run `$argv[0]`: $why");
}
