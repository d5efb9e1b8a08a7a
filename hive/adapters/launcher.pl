# The root of an agent's pane: runs the program that the launch file names as its child, waits
# for it, and writes how it ended to FILE.code. launcher.py does the same where perl is missing.
use strict;

my ($file) = @ARGV;

sub end_with { my ($code, $what) = @_; print STDERR "hive: $what\n"; exit $code }

open(my $in, '<:raw', $file) or end_with(75, "nothing to run, $file: $!");
my ($version, $prctl, $directory, $size, @env) = split(/\0/, do { local $/; <$in> }, -1);
close($in);
pop(@env) eq 'end' && $version eq 'hive 1' or end_with(75, "the launch file is damaged: $file");
my @argv = splice(@env, $size);
unlink("$file.code");

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

my $pid;
do { $pid = waitpid(-1, 0) } until $pid == $child || $pid == -1;
my ($code, $signal) = ($? >> 8, $? & 127);

umask(0077);
if (open(my $out, '>', "$file.code.new")) {
    print $out $signal ? -$signal : $code;
    close($out) and rename("$file.code.new", "$file.code");
}
exit($signal ? 128 + $signal : $code);

sub become_program {
    $SIG{$_} = 'DEFAULT' for @of_terminal, @passed_on;
    my %term = map { $_ => $ENV{$_} } grep { exists $ENV{$_} } qw(TERM TERM_PROGRAM TERM_PROGRAM_VERSION);
    %ENV = (%term, map { split(/=/, $_, 2) } @env);
    chdir($directory) or end_with(126, "can't enter `$directory`: $!");
    exec { $argv[0] } @argv;
    my ($why, $missing) = ("$!", $! == 2);
    end_with($missing ? 127 : 126, "can't run `$argv[0]`: $why");
}
