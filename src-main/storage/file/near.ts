/** Whether a file lies on this computer, as far as can be told: a server that hangs must not hold up whoever waits for it at once. */
import { statfs } from 'node:fs/promises'

/** What statfs(2) calls file systems that another computer, or another program, answers for (linux/magic.h, and the file systems' own sources). */
const FAR: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xfe534d42, // SMB 2
  0xff534d42, // CIFS
  0x65735546, // FUSE
  0x01021997, // 9p, as of virtual machines' hosts
  0x00c36400, // Ceph
  0x5346414f, // AFS
  0x6b414653, // AFS of the kernel
  0x564c, // NCP
  0x73757245, // Coda
  0x47504653, // GPFS
  0x0bd00bd0, // Lustre
  0x786f4256, // VirtualBox's shared folders
  0xbacbacbc, // VMware's
])

/** @returns false also where nobody can say */
export async function isNear(path: string, platform: NodeJS.Platform = process.platform): Promise<boolean> {
  // Windows reaches other computers by names of two backslashes; a letter may stand for one, which cannot be seen.
  if (platform === 'win32') return !/^[\\/]{2}/.test(path)
  // macOS mounts what is not its own below these.
  if (platform === 'darwin') return !/^\/(?:Volumes|Network|net)\//.test(path)
  try {
    return !FAR.has((await statfs(path)).type >>> 0)
  } catch {
    return false
  }
}
