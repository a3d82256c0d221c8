import { debianFiles } from './debian-files.ts'

/** The path of GRUB's rescue CD, or why it cannot be had. */
export async function grubIso(): Promise<{ path: string } | { missing: string }> {
  const got = await debianFiles({
    package: 'grub-rescue-pc',
    arch: 'i386',
    files: { 'grub-rescue-cdrom.iso': '/grub-rescue-cdrom.iso' },
  })
  return 'missing' in got ? got : { path: got.paths['grub-rescue-cdrom.iso'] }
}
