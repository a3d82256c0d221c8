/**
 * What a Linux guest does to let go of its shared folders (9p over virtio) and to take them again, as a script for any POSIX shell, with the
 * programs of busybox or better. Run as `sh -c SHARES_SCRIPT coppice-shares away|back`; it prints one line for each thing to tell:
 *
 *   away                     nothing is mounted any more (or nothing was)
 *   kept TAG WORDS           TAG could not be unmounted, by umount's words; all are mounted again
 *   holder PID NAME          a process that uses it
 *   twice TAG                TAG is in several places or only in part (bind mounts): not touched, nor any other
 *   failed TAG WORDS         TAG could not be mounted again, by mount's words; the next `back` tries again
 *
 * What was mounted where, and how, is kept in the guest, in a file that a restart forgets: so it goes with the guest's memory, and whoever
 * comes next can put it right. In the place of a share that is away stands an empty file system that takes no change, so that what a
 * program writes meanwhile fails instead of disappearing under the share.
 * Source: Linux Documentation/filesystems/proc.rst, section 3.5 (mountinfo); mount(8), umount(8).
 */
export const SHARES_SCRIPT = String.raw`
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
record=/run/coppice-shares
nothing=coppice-suspended
line_end='
'

# Some shells' echo would change what a path has.
say() { printf '%s\n' "$*"; }

# Lines TAG ROOT OPTIONS PLACE of what is mounted, in the order in which it was. Names are as the kernel writes them.
shares() {
  while read -r id parent device root place own rest; do
    rest=" $rest"
    set -- ${'$'}{rest##* - }
    [ "$1" = 9p ] || continue
    case ,$3, in *,trans=virtio,*) ;; *) continue ;; esac
    options=$3,$own
    # Of two that contradict each other the last counts.
    case ,$options, in *,ro,*) options=$options,ro ;; esac
    say "$2 $root $options $place"
  done < /proc/self/mountinfo
}

# The kernel writes a space as \040.
unquoted() { printf '%b' "$(printf '%s' "$1" | sed 's/\\/\\0/g')"; }

first_line() { printf '%s\n' "$1" | head -n 1; }

holders() {
  {
    ls -l /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd/* 2> /dev/null | while read -r line; do
      case $line in *" -> $1" | *" -> $1/"*) line=${'$'}{line#* /proc/}; say "${'$'}{line%%/*}" ;; esac
    done
    grep -lF " $1/" /proc/[0-9]*/maps 2> /dev/null | cut -d / -f 3
  } | sort -nu | while read -r pid; do
    read -r name < "/proc/$pid/comm" && say "holder $pid $name"
  done
}

stand_in() { mount -t tmpfs -o ro,size=4k $nothing "$1" 2> /dev/null; }

has_stand_in() {
  case $(grep -F -- " - tmpfs $nothing " /proc/self/mountinfo) in *" $1 "*) return 0 ;; esac
  return 1
}

back() {
  [ -e $record ] || return 0
  left=
  while read -r tag root options place; do
    case $line_end$(shares) in *"$line_end$tag "*) continue ;; esac
    at=$(unquoted "$place")
    has_stand_in "$place" && umount -l "$at"
    said=$(mount -t 9p -o "$options" "$tag" "$at" 2>&1) && continue
    stand_in "$at"
    say "failed $tag $(first_line "$said")"
    left="$left$tag $root $options $place$line_end"
  done < $record
  if [ -n "$left" ]; then printf '%s' "$left" > $record; else rm -f $record; fi
}

away() {
  mounted=$(shares)
  [ -n "$mounted" ] || { say away; return; }
  tags=' '
  backwards=
  while read -r tag root options place; do
    case $tags in *" $tag "*) root=none ;; esac
    [ "$root" = / ] || { say "twice $tag"; return; }
    tags="$tags$tag "
    backwards="$tag $place$line_end$backwards"
  done << END
$mounted
END
  # What could not be mounted again before is not forgotten.
  before=$(cat $record 2> /dev/null)
  printf '%s\n' "$mounted" ${'$'}{before:+"$before"} > $record.new && mv $record.new $record || return
  while read -r tag place; do
    [ -n "$tag" ] || continue
    at=$(unquoted "$place")
    said=$(umount "$at" 2>&1) && continue
    say "kept $tag $(first_line "$said")"
    holders "$at"
    back
    return
  done << END
$backwards
END
  while read -r tag root options place; do
    stand_in "$(unquoted "$place")"
  done << END
$mounted
END
  say away
}

case $1 in away) away ;; back) back ;; esac
`
