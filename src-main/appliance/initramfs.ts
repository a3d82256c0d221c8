/** Puts Coppice Linux's root file system together: busybox, the kernel's modules with their tables, and our own files. */
import { utf8 } from '../../src-shared/base/bytes.ts'
import { writeCpio, type CpioEntry } from '../archive/cpio.ts'
import type { KernelParts } from './kernel-package.ts'
import { moduleTables } from './modules.ts'
import type { Overlay } from './recipe.ts'

/** Mount points and places to write. Their parents are made with them. */
const FOLDERS = ['dev', 'proc', 'sys', 'run', 'mnt', 'sbin', 'usr/bin', 'usr/sbin', 'var/log', 'root']

/** An uncompressed newc archive: unpacking a packed one costs an emulated processor more than reading it. */
export function buildInitramfs(parts: { busybox: Uint8Array; kernel: KernelParts; overlay: Overlay }): Uint8Array<ArrayBuffer> {
  const entries = new Map<string, CpioEntry>()
  for (const path of FOLDERS) entries.set(path, { kind: 'directory', mode: path === 'root' ? 0o700 : 0o755 })
  entries.set('tmp', { kind: 'directory', mode: 0o1777 })
  entries.set('dev/console', { kind: 'device', mode: 0o600, major: 5, minor: 1 })
  entries.set('var/run', { kind: 'symlink', target: '/run' })
  entries.set('bin/busybox', { kind: 'file', mode: 0o755, data: parts.busybox })
  entries.set('bin/sh', { kind: 'symlink', target: 'busybox' })

  const { version, modules } = parts.kernel
  const root = `lib/modules/${version}`
  for (const { path, data } of modules.values()) entries.set(`${root}/${path}`, { kind: 'file', mode: 0o644, data })
  const tables = moduleTables(modules)
  entries.set(`${root}/modules.dep`, { kind: 'file', mode: 0o644, data: utf8(tables.dep) })
  entries.set(`${root}/modules.alias`, { kind: 'file', mode: 0o644, data: utf8(tables.alias) })

  // Windows keeps no execute bit, so a script is known by its first two bytes.
  for (const [path, data] of parts.overlay) {
    const isScript = data[0] === 0x23 && data[1] === 0x21
    entries.set(path, { kind: 'file', mode: isScript ? 0o755 : 0o644, data })
  }
  return writeCpio(entries)
}
