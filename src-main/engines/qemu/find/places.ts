/** Where QEMU and its companions would be. Pure. */
import { ARCHES, type Arch } from '../../../../src-shared/model/machine.ts'
import { pathsOf, variable, type Computer } from './computer.ts'

/** Folders of PATH that are looked at. */
const MAX_PATH_FOLDERS = 100

/** What a program is called on this platform. */
export function programName(name: string, platform: NodeJS.Platform): string {
  return platform === 'win32' ? `${name}.exe` : name
}

export function qemuNames(platform: NodeJS.Platform): { arch: Arch; name: string }[] {
  return ARCHES.map((arch) => ({ arch, name: programName(`qemu-system-${arch}`, platform) }))
}

/**
 * Folders with programs, in the order in which they are looked at: PATH, where installers put QEMU (programs that are started from a desktop
 * may have a PATH without it), and the app's own resources.
 */
export function programFolders(computer: Computer, resources: string): string[] {
  const { delimiter, isAbsolute, join, normalize } = pathsOf(computer)
  // What is relative would depend on the folder in which somebody happened to start Coppice.
  const inPath = variable(computer, 'PATH')
    .split(delimiter)
    .map((folder) => folder.replace(/^"(.*)"$/, '$1'))
    .filter(isAbsolute)
    .slice(0, MAX_PATH_FOLDERS)
  const own = join(resources, 'qemu')
  const all = [...inPath, ...usualFolders(computer), own, join(own, 'bin')]
  return [...new Set(all.map((folder) => withoutEnd(normalize(folder))))]
}

function withoutEnd(folder: string): string {
  return folder.length > 3 ? folder.replace(/[\\/]+$/, '') : folder
}

function usualFolders(computer: Computer): string[] {
  const { home, platform } = computer
  switch (platform) {
    case 'win32': {
      const folders = ['ProgramW6432', 'ProgramFiles', 'ProgramFiles(x86)'].map((name) => variable(computer, name)).filter(Boolean)
      const profile = variable(computer, 'USERPROFILE') || home
      return [
        ...folders.map((folder) => `${folder}\\qemu`),
        `${profile}\\scoop\\apps\\qemu\\current`,
        ...['ucrt64', 'clang64', 'mingw64', 'clangarm64'].map((kind) => `C:\\msys64\\${kind}\\bin`),
      ]
    }
    case 'darwin':
      // Homebrew on Apple Silicon, Homebrew on Intel, MacPorts, Nix.
      return ['/opt/homebrew/bin', '/usr/local/bin', '/opt/local/bin', `${home}/.nix-profile/bin`, '/run/current-system/sw/bin']
    default:
      return [
        ...['/usr/local/bin', '/usr/bin', '/home/linuxbrew/.linuxbrew/bin'],
        ...[`${home}/.nix-profile/bin`, '/run/current-system/sw/bin'],
      ]
  }
}

/**
 * Folders with QEMU's data (firmware/*.json and firmware files), for programs in these folders: the builds for Windows have `share` beside the
 * program, everybody else has `../share/qemu`.
 */
export function dataFolders(computer: Computer, programs: readonly string[]): string[] {
  const { dirname, join } = pathsOf(computer)
  const besides = programs.flatMap((program) => {
    const folder = dirname(program)
    return [
      join(folder, '..', 'share', 'qemu'),
      join(folder, 'share', 'qemu'),
      ...(computer.platform === 'win32' ? [join(folder, 'share')] : []),
    ]
  })
  return [...new Set(besides)]
}

/**
 * Folders with descriptions of firmware, strongest first: the user's, this computer's, and the packages' (QEMU's docs/interop/firmware.json,
 * "Discovery of firmware descriptors").
 */
export function descriptorFolders(computer: Computer, programs: readonly string[]): string[] {
  const { join } = pathsOf(computer)
  const packaged = dataFolders(computer, programs).map((folder) => join(folder, 'firmware'))
  if (computer.platform === 'win32') return packaged
  const config = variable(computer, 'XDG_CONFIG_HOME') || join(computer.home, '.config')
  return [...new Set([join(config, 'qemu', 'firmware'), '/etc/qemu/firmware', ...packaged, '/usr/share/qemu/firmware'])]
}
