# The part of QEMU's guest agent protocol (docs/interop/qemu-ga-ref) that a host uses: a request is one line of JSON, and so is its
# answer. A command's output comes in pieces while it runs, with "exited": false; the last of them, or none, with "exited": true.
# Written for busybox's awk, whose strings are bytes.

BEGIN {
  Work = "/run/coppice-agent"
  # Bytes of a command's output in one answer: a multiple of 3, so that pieces of base64 could be joined.
  Piece = 30000
  system("mkdir -p -m 700 " Work "; rm -rf " Work "/[0-9]*")
  Commands = "guest-sync-delimited guest-sync guest-ping guest-info guest-network-get-interfaces guest-exec guest-exec-status " \
    "guest-set-time guest-shutdown guest-get-host-name guest-get-osinfo guest-fsfreeze-status guest-fsfreeze-freeze guest-fsfreeze-thaw"
  for (code = 1; code < 256; code++) Code[sprintf("%c", code)] = code
  # Seconds after which file systems are thawed although nobody asked: the host may be gone.
  Freeze_patience = 60
  # It may have been ended while it held them: the host that it spoke to went away.
  if ((getline Frozen < (Work "/frozen")) > 0) getline Thawer < (Work "/frozen")
  close(Work "/frozen")
}

{
  # A byte of 0xff says: forget what came before.
  at = match($0, /\377[^\377]*$/)
  Text = at ? substr($0, at + 1) : $0
  if (Text !~ /[^ \t\r]/) next
  delete J
  Bad = 0
  Pos = 1
  value("")
  if (Bad || !("execute" in J)) fail("Invalid JSON syntax")
  else perform(J["execute"])
  fflush()
}

function perform(name) {
  if (name == "guest-sync-delimited") { printf "\377"; answer(J["arguments.id"] + 0 == J["arguments.id"] ? J["arguments.id"] : 0) }
  else if (name == "guest-sync") answer(J["arguments.id"])
  else if (name == "guest-ping") answer("{}")
  else if (name == "guest-info") answer(info())
  else if (name == "guest-get-host-name") answer("{\"host-name\": " text(output("hostname")) "}")
  else if (name == "guest-get-osinfo") answer(system_info())
  else if (name == "guest-network-get-interfaces") answer(interfaces())
  else if (name == "guest-set-time") set_time(J["arguments.time"])
  else if (name == "guest-shutdown") shut_down(J["arguments.mode"])
  else if (name == "guest-exec") begin_command()
  else if (name == "guest-exec-status") command_status(J["arguments.pid"])
  else if (name == "guest-fsfreeze-status") answer(is_frozen() ? "\"frozen\"" : "\"thawed\"")
  else if (name == "guest-fsfreeze-freeze") freeze()
  else if (name == "guest-fsfreeze-thaw") thaw()
  else fail("The command " name " has not been found")
}

function answer(json) { printf "{\"return\": %s%s}\n", json, ("id" in J) ? ", \"id\": " text(J["id"]) : "" }
function fail(why) { printf "{\"error\": {\"class\": \"GenericError\", \"desc\": %s}}\n", text(why) }

# ---- the system

function info(    names, count, at, json) {
  count = split(Commands, names, " ")
  for (at = 1; at <= count; at++)
    json = json (at > 1 ? ", " : "") "{\"name\": \"" names[at] "\", \"enabled\": true, \"success-response\": " \
      (names[at] == "guest-shutdown" ? "false" : "true") "}"
  return "{\"version\": \"coppice 1\", \"supported_commands\": [" json "]}"
}

function system_info(    line, key, os) {
  while ((getline line < "/etc/os-release") > 0) {
    key = substr(line, 1, index(line, "=") - 1)
    line = substr(line, index(line, "=") + 1)
    gsub(/"/, "", line)
    os[key] = line
  }
  close("/etc/os-release")
  return "{\"id\": " text(os["ID"]) ", \"name\": " text(os["NAME"]) ", \"pretty-name\": " text(os["PRETTY_NAME"]) \
    ", \"kernel-release\": " text(output("uname -r")) ", \"machine\": " text(output("uname -m")) "}"
}

function interfaces(    line, part, count, json, addresses, name, mac) {
  while (("ip addr" | getline line) > 0) {
    count = split(line, part, " ")
    if (line ~ /^[0-9]/) {
      json = json interface(name, mac, addresses, json)
      name = part[2]
      sub(/(@.*)?:$/, "", name)
      mac = addresses = ""
    } else if (part[1] ~ /^link\//) mac = part[2]
    else if (part[1] == "inet" || part[1] == "inet6") {
      split(part[2], part, "/")
      addresses = addresses (addresses == "" ? "" : ", ") "{\"ip-address\": " text(part[1]) ", \"ip-address-type\": \"" \
        (part[1] ~ /:/ ? "ipv6" : "ipv4") "\", \"prefix\": " part[2] + 0 "}"
    }
  }
  close("ip addr")
  return "[" json interface(name, mac, addresses, json) "]"
}

function interface(name, mac, addresses, before) {
  if (name == "") return ""
  return (before == "" ? "" : ", ") "{\"name\": " text(name) (mac == "" ? "" : ", \"hardware-address\": " text(mac)) \
    ", \"ip-addresses\": [" addresses "]}"
}

# Nanoseconds since 1970. The clock is set by whole seconds, so what is missing to the next one is waited for.
function set_time(time,    seconds, millis) {
  if (time !~ /^[0-9]+$/ || length(time) < 10) return fail("Only a given time can be set")
  seconds = substr(time, 1, length(time) - 9)
  millis = 1000 - int(substr(time, length(time) - 8, 3))
  if (system(sprintf("usleep %d; date -u -s @%.0f > /dev/null", millis * 1000, seconds + 1))) return fail("The clock cannot be set")
  answer("{}")
}

# Has no answer unless it fails: the system may be gone before.
function shut_down(mode) {
  if (mode == "" || mode == "powerdown") mode = "poweroff"
  if (mode !~ /^(poweroff|halt|reboot)$/) return fail("Unknown mode " mode)
  system(mode)
}

# ---- file systems

# All or none: one that cannot be frozen (vfat, say) makes it fail.
function freeze(    line, part, seen, count, at) {
  if (is_frozen()) return answer(0)
  while ((getline line < "/proc/mounts") > 0) {
    split(line, part, " ")
    # A file system of no disk has nothing to freeze; one that is mounted twice is frozen once.
    if (part[1] !~ /^\/dev\// || part[4] !~ /^rw/ || part[1] in seen) continue
    seen[part[1]]
    at = quoted(octals(part[2]))
    if (system("fsfreeze --freeze " at " 2> /dev/null")) {
      close("/proc/mounts")
      unfreeze()
      return fail("The file system at " octals(part[2]) " (" part[3] ") cannot be frozen")
    }
    Frozen = Frozen " " at
    count++
  }
  close("/proc/mounts")
  if (count) {
    Thawer = output("setsid sh -c " quoted("sleep " Freeze_patience "; " unfreezing() "; rm " Work "/frozen") " > /dev/null 2>&1 & echo $!")
    print Frozen > (Work "/frozen")
    print Thawer > (Work "/frozen")
    close(Work "/frozen")
  }
  answer(count + 0)
}

function thaw(    count) {
  if (is_frozen()) {
    system("kill -KILL -- -" Thawer " 2> /dev/null; rm -f " Work "/frozen")
    count = unfreeze()
  }
  answer(count + 0)
}

# Not any more where its time was over.
function is_frozen(    line) {
  if (Frozen != "" && (getline line < (Work "/frozen")) < 0) Frozen = ""
  close(Work "/frozen")
  return Frozen != ""
}

function unfreeze(    count) {
  if (Frozen != "") count = output(unfreezing() " | wc -l")
  Frozen = ""
  return count
}

# A line for each that was frozen.
function unfreezing() {
  return "for at in" Frozen "; do fsfreeze --unfreeze \"$at\" 2> /dev/null && echo; done"
}

# /proc/mounts has spaces as \040.
function octals(path,    at) {
  while ((at = index(path, "\\0")) > 0) path = substr(path, 1, at - 1) " " substr(path, at + 4)
  return path
}

# ---- commands

function begin_command(    folder, script, at, pid) {
  if (J["arguments.path"] == "") return fail("No command was given")
  folder = Work "/" ++Count
  system("mkdir " folder)
  # A file, as an argument of a shell cannot be long.
  script = folder "/run"
  printf "cd %s\nexec < in > out 2> err\n(\ncd\n", folder > script
  for (at = 0; ("arguments.env." at) in J; at++) printf "export %s\n", quoted(J["arguments.env." at]) > script
  printf "command -v %s > /dev/null || { echo %s: not found >&2; exit 127; }\n", quoted(J["arguments.path"]), quoted(J["arguments.path"]) > script
  printf "exec %s", quoted(J["arguments.path"]) > script
  for (at = 0; ("arguments.arg." at) in J; at++) printf " %s", quoted(J["arguments.arg." at]) > script
  # Without its record when it is asked for: the name appears together with the contents.
  printf "\n)\necho $? > exit.new\nmv exit.new exit\n" > script
  close(script)
  if (J["arguments.input-data"] == "") system(": > " folder "/in")
  else {
    print J["arguments.input-data"] | "base64 -d > " folder "/in"
    close("base64 -d > " folder "/in")
  }
  # A session of its own: it can be killed with all that it started.
  pid = output("setsid sh " script " > /dev/null 2>&1 & echo $!")
  Folder[pid] = folder
  OutAt[pid] = ErrAt[pid] = 0
  answer("{\"pid\": " pid "}")
}

function command_status(pid,    folder, lives, status, sizes, out, err) {
  if (!(pid in Folder)) return fail("PID " pid " does not exist")
  folder = Folder[pid]
  # One that was killed leaves no word of its end.
  lives = (getline status < ("/proc/" pid "/stat")) > 0
  close("/proc/" pid "/stat")
  # First of all: what it printed is complete when it has ended.
  status = ""
  if ((getline status < (folder "/exit")) > 0) close(folder "/exit")
  split(output("stat -c %s " folder "/out " folder "/err 2> /dev/null | tr '\\n' ' '"), sizes, " ")
  out = piece(folder "/out", OutAt[pid], sizes[1])
  err = piece(folder "/err", ErrAt[pid], sizes[2])
  OutAt[pid] = least(OutAt[pid] + Piece, sizes[1] + 0)
  ErrAt[pid] = least(ErrAt[pid] + Piece, sizes[2] + 0)
  if ((status != "" || !lives) && OutAt[pid] == sizes[1] + 0 && ErrAt[pid] == sizes[2] + 0) {
    delete Folder[pid]
    system("rm -rf " folder)
    answer("{\"exited\": true, " (status == "" ? "\"signal\": 9" : "\"exitcode\": " status) out_field("out", out) out_field("err", err) "}")
  } else answer("{\"exited\": false" out_field("out", out) out_field("err", err) "}")
}

function piece(file, from, size) {
  return size + 0 > from ? output("tail -c +" from + 1 " " file " | head -c " least(Piece, size - from) " | base64 | tr -d '\\n'") : ""
}

function out_field(name, data) { return data == "" ? "" : ", \"" name "-data\": \"" data "\"" }
function least(a, b) { return a < b ? a : b }

# ---- text

function output(command,    line) {
  line = ""
  command | getline line
  close(command)
  return line
}

# For a shell.
function quoted(string) {
  gsub(/'/, "'\\''", string)
  return "'" string "'"
}

# For JSON, with its quotes. Bytes above 0x7f are UTF-8 as they are.
function text(string,    at, done) {
  gsub(/\\/, "\\\\", string)
  gsub(/"/, "\\\"", string)
  while ((at = match(string, /[\001-\037]/)) > 0) {
    done = done substr(string, 1, at - 1) sprintf("\\u%04x", Code[substr(string, at, 1)])
    string = substr(string, at + 1)
  }
  return "\"" done string "\""
}

# ---- JSON: Text from Pos on, into J by the names on the way ("arguments.arg.0"). Bad is set where it is none.

function value(name,    first, token) {
  first = next_sign()
  if (first == "{") members(name)
  else if (first == "[") elements(name)
  else if (first == "\"") J[name] = characters()
  else if (match(substr(Text, Pos, 64), /^(-?[0-9][0-9.eE+-]*|true|false|null)/)) {
    J[name] = substr(Text, Pos, RLENGTH)
    Pos += RLENGTH
  } else Bad = 1
}

function members(name,    key) {
  Pos++
  if (next_sign() == "}") { Pos++; return }
  while (!Bad) {
    if (next_sign() != "\"") { Bad = 1; return }
    key = characters()
    if (next_sign() != ":") { Bad = 1; return }
    Pos++
    value(name == "" ? key : name "." key)
    if (!more("}")) return
  }
}

function elements(name,    count) {
  Pos++
  if (next_sign() == "]") { Pos++; return }
  for (count = 0; !Bad; count++) {
    value(name "." count)
    if (!more("]")) return
  }
}

function more(end,    sign) {
  sign = next_sign()
  Pos++
  if (sign == end) return 0
  if (sign != ",") Bad = 1
  return !Bad
}

function next_sign() {
  while (index(" \t\r", substr(Text, Pos, 1)) && Pos <= length(Text)) Pos++
  return substr(Text, Pos, 1)
}

function characters(    rest, at, done, sign) {
  rest = substr(Text, ++Pos)
  while ((at = match(rest, /["\\]/)) > 0) {
    done = done substr(rest, 1, at - 1)
    Pos += at
    if (substr(rest, at, 1) == "\"") return done
    sign = substr(rest, at + 1, 1)
    Pos++
    if (sign == "u") {
      done = done sprintf("%c", hex(substr(rest, at + 2, 4)))
      at += 4
      Pos += 4
    } else done = done (sign == "n" ? "\n" : sign == "t" ? "\t" : sign == "r" ? "\r" : sign == "b" ? "\b" : sign == "f" ? "\f" : sign)
    rest = substr(rest, at + 2)
  }
  Bad = 1
}

function hex(digits,    at, number) {
  for (at = 1; at <= 4; at++) number = number * 16 + index("0123456789abcdef", tolower(substr(digits, at, 1))) - 1
  return number
}
