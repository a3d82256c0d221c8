import { debianFiles, type Obtained } from './debian-files.ts'

/** Both consoles, on each of which the installer then asks; on the screen without its own Unicode font, so that the text can be read. */
export const INSTALLER_CMDLINE = 'console=tty0 console=ttyS0 fb=false'

/** Debian 12's network installer: its kernel and initial RAM disk. */
export function installerFiles(arch: 'i386' | 'amd64'): Promise<Obtained<'kernel' | 'initrd'>> {
  const folder = `/text/debian-installer/${arch}`
  return debianFiles({
    package: `debian-installer-12-netboot-${arch}`,
    // The packages are the same for every processor.
    arch: 'amd64',
    files: { kernel: `${folder}/linux`, initrd: `${folder}/initrd.gz` },
  })
}
