/** Coppice Linux with Debian's own qemu-guest-agent, unmodified, in place of ours. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { collect, readDeb } from '../../../src-main/appliance/deb.ts'
import { obtainPackages } from '../../../src-main/appliance/packages.ts'
import { cacheFolder } from '../../../src-main/app/paths.ts'
import { writeCpio, type CpioEntry } from '../../../src-main/archive/cpio.ts'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import type { GuestFiles } from './appliance.ts'

/** The agent, and what `ldd` says of it. */
const PACKAGES = ['qemu-guest-agent', 'libc6', 'libglib2.0-0', 'libnuma1', 'libudev1', 'liburing2', 'libpcre2-8-0']
const WANTED =
  /^\.\/(?:usr\/sbin\/qemu-ga|(?:usr\/)?lib(?:64)?\/(?:[\w-]+-linux-gnu\/)?(?:ld-linux[\w.-]*|lib(?:c|m|g(?:lib|module)-2\.0|numa|udev|uring|pcre2-8)[.-][\w.-]*))$/

/** Started by lib/coppice/hardware like our own. */
const START = `#!/bin/sh
exec < /dev/null > /run/qemu-ga.log 2>&1
renice 0 -p $$
port=
until [ -n "$port" ]; do
  for at in /sys/class/virtio-ports/*; do
    read -r name < "$at/name" && [ "$name" = org.qemu.guest_agent.0 ] && port=/dev/\${at##*/}
  done
  usleep 100000
done
exec /usr/sbin/qemu-ga -m virtio-serial -p "$port" -t /run
`
/** It runs shutdown(8), which busybox has not. */
const SHUTDOWN = '#!/bin/sh\nexec poweroff\n'

/**
 * @param folder gets the initramfs
 * @returns the same files with that initramfs, or why its packages cannot be had
 */
export async function withQemuGa(files: GuestFiles, folder: string): Promise<GuestFiles | { missing: string }> {
  const arch = files.linux.arch === 'i386' ? 'i386' : 'amd64'
  const entries = new Map<string, CpioEntry>()
  try {
    const set = `qemu-guest-agent-${arch}`
    const packages = await obtainPackages({ cacheFolder: cacheFolder(), set, arch, names: PACKAGES, onProgress: () => {} })
    for (const { path } of packages) await take(path, entries)
  } catch (error) {
    return { missing: (error as Error).message }
  }
  entries.set('lib/coppice/agent', { kind: 'file', mode: 0o755, data: utf8(START) })
  entries.set('sbin/shutdown', { kind: 'file', mode: 0o755, data: utf8(SHUTDOWN) })
  const initrd = join(folder, 'qemu-ga.img')
  // An initramfs may be several archives: later ones are unpacked over earlier ones.
  await writeFile(initrd, concatBytes([await readFile(files.linux.initrd), writeCpio(entries)]))
  return { ...files, linux: { ...files.linux, initrd } }
}

async function take(deb: string, entries: Map<string, CpioEntry>): Promise<void> {
  await readDeb(deb, {
    onEntry: (entry) => {
      if (!WANTED.test(entry.name)) return null
      const path = entry.name.slice(2)
      if (entry.type === 'symlink') entries.set(path, { kind: 'symlink', target: entry.link })
      if (entry.type !== 'file') return null
      return collect(entry, (data) => entries.set(path, { kind: 'file', mode: 0o755, data }))
    },
  })
}
