//! The explanation of the options that `-h` prints.

/// The options, as setkey(8) explains them.
pub(crate) const OPTIONS: &str = "\
Modes; the last one given takes effect:
  -c                  run statements from standard input, each as soon as its `;' is read
  -f FILE             run the statements of FILE (`-': standard input); stop at the first error
  -f --replace FILE.. change the kernel's tables to what the files describe, without clear text
  -D                  print the SAs, with -P the policies
  -F                  flush the SAs, with -P the policies
  -x                  print messages between the kernel and programs (-xx: times since 1970)
  --check FILE        report every error in FILE; needs neither a kernel nor a privilege
  FILE..              print the binary PF_KEY messages in these files
  -h, --help          print this text (with a mode, -h of FreeBSD and NetBSD is -H)
  -V, --version       print the version
  --json-schema       print the JSON Schema of --json

Options:
  -a                  -D: also dead SAs
  -e                  exit with status 1 if anything failed
  -g, -t              FreeBSD, -DP: only policies of the whole host, of if_ipsec interfaces
  -H                  also print messages in hexadecimal
  -k                  install `in' policies exactly as written
  -l                  -D: one line per SA, again every second
  -N                  -DP: omit the policies of sockets
  -n                  check the statements, but send nothing
  -P                  -D, -F: policies instead of SAs
  -p                  print port numbers with addresses
  -r                  Linux: add a `fwd' policy to each `in' policy (default)
  -v                  print each message sent and received
  --backend NAME      kernel interface: auto (default), pfkey, xfrm, memory, socket:PATH
  --dialect NAME      dialect of PF_KEY: linux, freebsd, netbsd, darwin
  --json              -D: print JSON, without keys
  --keys              --json: include the keys

ipsec.conf(5) describes the language of scripts, setkey(8) everything else.
";
