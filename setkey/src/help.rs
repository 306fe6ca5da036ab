//! What `-h` says about the options.

/// The options, as setkey(8) explains them.
pub(crate) const OPTIONS: &str = "\
What to do; of several the last one counts:
  -c                  run the statements of standard input, each as soon as its `;' is read
  -f FILE             run the statements of FILE (`-': standard input); the first error ends it
  -f --replace FILE.. make the kernel have what the files say, without a moment of clear text
  -D                  print the SAs, with -P the policies
  -F                  remove all SAs, with -P all policies
  -x                  print the messages between the kernel and programs (-xx: times since 1970)
  --check FILE        report every mistake in FILE; needs no kernel and no privilege
  FILE..              print the binary PF_KEY messages in files
  -h, --help          print this text (with a mode, -h of FreeBSD and NetBSD is -H)
  -V, --version       print the version

How to do it:
  -a                  -D: dead SAs, too
  -e                  end with status 1 if anything failed
  -g, -t              FreeBSD, -DP: only policies of the whole host, of if_ipsec interfaces
  -H                  print messages in hexadecimal, too
  -k                  install `in' policies as written
  -l                  -D: one line for each SA, again every second
  -N                  -DP: leave out the policies of sockets
  -n                  check the statements, send nothing
  -P                  -D, -F: policies instead of SAs
  -p                  print port numbers with addresses
  -r                  Linux: a `fwd' policy goes with each `in' policy (default)
  -v                  print each message sent and received
  --backend NAME      the way to the kernel: auto (default), pfkey, xfrm, memory, socket:PATH
  --dialect NAME      how PF_KEY is spoken: linux, freebsd, netbsd, darwin
  --json              -D: print JSON, without keys
  --keys              --json: with keys

The language of scripts is described in ipsec.conf(5), all else in setkey(8).
";
