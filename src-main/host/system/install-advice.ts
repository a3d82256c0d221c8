/** How to install what is missing, on this system: one command, or the page that tells. Pure. */

export type Missing = 'qemu' | 'uefi' | 'swtpm'
type Distribution = 'debian' | 'fedora' | 'arch' | 'suse' | 'alpine'

/** What each family's packages are called, and how they are installed. */
const COMMANDS: Record<Distribution, Record<Missing, string>> = {
  debian: {
    qemu: 'sudo apt-get install qemu-system-x86 qemu-system-arm qemu-system-misc qemu-utils ovmf qemu-efi-aarch64 swtpm',
    uefi: 'sudo apt-get install ovmf qemu-efi-aarch64',
    swtpm: 'sudo apt-get install swtpm',
  },
  fedora: {
    qemu: 'sudo dnf install qemu-system-x86 qemu-system-aarch64 qemu-system-riscv qemu-img edk2-ovmf edk2-aarch64 swtpm',
    uefi: 'sudo dnf install edk2-ovmf edk2-aarch64',
    swtpm: 'sudo dnf install swtpm',
  },
  arch: {
    qemu: 'sudo pacman -S qemu-full edk2-ovmf swtpm',
    uefi: 'sudo pacman -S edk2-ovmf edk2-aarch64',
    swtpm: 'sudo pacman -S swtpm',
  },
  suse: {
    qemu: 'sudo zypper install qemu-x86 qemu-arm qemu-extra qemu-tools qemu-ovmf-x86_64 swtpm',
    uefi: 'sudo zypper install qemu-ovmf-x86_64 qemu-uefi-aarch64',
    swtpm: 'sudo zypper install swtpm',
  },
  alpine: {
    qemu: 'doas apk add qemu-system-x86_64 qemu-system-i386 qemu-system-aarch64 qemu-img ovmf swtpm',
    uefi: 'doas apk add ovmf aavmf',
    swtpm: 'doas apk add swtpm',
  },
}
const NAMES: Record<string, Distribution> = {
  ...{
    debian: 'debian',
    ubuntu: 'debian',
    fedora: 'fedora',
    rhel: 'fedora',
    arch: 'arch',
    suse: 'suse',
    opensuse: 'suse',
    alpine: 'alpine',
  },
}
const CALLED: Record<Missing, string> = { qemu: 'QEMU', uefi: 'UEFI firmware for QEMU (OVMF, AAVMF)', swtpm: 'swtpm' }
const PAGE = 'https://www.qemu.org/download/'

/** A sentence. @param osRelease content of /etc/os-release (os-release(5)); empty where there is none */
export function installAdvice(missing: Missing, platform: NodeJS.Platform, osRelease: string): string {
  if (platform === 'darwin') {
    if (missing === 'uefi') return 'QEMU brings it. Install it again: brew reinstall qemu'
    return `Install it by Homebrew: brew install ${missing === 'qemu' ? 'qemu swtpm' : 'swtpm'}`
  }
  if (platform === 'win32')
    return missing === 'qemu'
      ? `Install it: winget install SoftwareFreedomConservancy.QEMU – or get it from ${PAGE}#windows`
      : `QEMU brings it. Install it again, from ${PAGE}#windows`
  const distribution = distributionOf(osRelease)
  if (distribution) return `Install it: ${COMMANDS[distribution][missing]}`
  return `Install ${CALLED[missing]} with your system’s package manager; ${PAGE}#linux tells how on many.`
}

function distributionOf(osRelease: string): Distribution | null {
  const value = (key: string): string => new RegExp(`^${key}=["']?([^"'\\n]*)`, 'm').exec(osRelease)?.[1] ?? ''
  // The closest first: derivatives name their own, then what they are like.
  const words = `${value('ID')} ${value('ID_LIKE')}`.toLowerCase().split(/[\s-]+/)
  return words.map((word) => NAMES[word]).find((found) => found !== undefined) ?? null
}
