/** How a guest comes to a shared folder, and what it could do with one. */
import type { SharedFolder } from './machine.ts'

/** Bytes of the largest message: what the Linux kernel's virtio transport takes. */
const MESSAGE_BYTES = 512_000

/**
 * The command that mounts a shared folder in a Linux guest, for its root. Coppice Linux does the same by itself.
 * @param tag as in the configuration: it needs no quotes
 */
export function mountCommand(tag: string): string {
  return `mkdir -p /mnt/${tag} && mount -t 9p -o trans=virtio,version=9p2000.L,msize=${MESSAGE_BYTES} ${tag} /mnt/${tag}`
}

/**
 * What somebody should know who shares this folder, as a sentence; null where there is nothing.
 * @param bundle the machine's own folder, or one in it; absolute
 */
export function shareRisk({ path, readOnly }: Pick<SharedFolder, 'path' | 'readOnly'>, bundle: string): string | null {
  const [folder, own] = [elements(path), elements(bundle)]
  const hasMachine = folder.every((name, at) => own[at] === name)
  if (readOnly || !hasMachine) return null
  return `The guest may write everything in “${path}”, also its own machine’s files: it could share more with itself. Share a smaller folder, or share it read-only.`
}

/** "C:\\a/b/" as ["c:", "a", "b"]: Windows takes both cases and both slashes. */
function elements(path: string): string[] {
  const windows = /^[A-Za-z]:|^\\\\/.test(path)
  const parts = (windows ? path.toLowerCase().split(/[\\/]/) : path.split('/')).filter((part) => part !== '' && part !== '.')
  return parts.reduce<string[]>((kept, part) => (part === '..' ? kept.slice(0, -1) : [...kept, part]), [])
}
