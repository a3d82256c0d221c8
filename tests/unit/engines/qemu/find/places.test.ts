import { describe, expect, test } from 'vitest'
import { descriptorFolders, programFolders, qemuNames } from '../../../../../src-main/engines/qemu/find/places.ts'
import { fakeComputer } from './fake-computer.ts'

describe('where QEMU would be', () => {
  test('Linux: PATH first, and the app’s own last', () => {
    const computer = fakeComputer({ platform: 'linux', env: { PATH: '/opt/qemu/bin:/usr/bin/:/usr/bin' } })
    const folders = programFolders(computer, '/app/resources')
    expect(folders.slice(0, 3)).toEqual(['/opt/qemu/bin', '/usr/bin', '/usr/local/bin'])
    expect(folders.slice(-2)).toEqual(['/app/resources/qemu', '/app/resources/qemu/bin'])
    expect(new Set(folders).size).toBe(folders.length)
  })

  test('nothing depends on the folder in which Coppice was started', () => {
    const computer = fakeComputer({ platform: 'linux', env: { PATH: ':.:bin:../bin:/usr/bin' } })
    expect(programFolders(computer, '/app').every((folder) => folder.startsWith('/'))).toBe(true)
  })

  test('macOS: a PATH without Homebrew, as programs get it that the Dock starts', () => {
    const computer = fakeComputer({ platform: 'darwin', env: { PATH: '/usr/bin:/bin' }, home: '/Users/ann' })
    expect(programFolders(computer, '/Applications/Coppice.app/Contents/Resources')).toEqual([
      ...['/usr/bin', '/bin', '/opt/homebrew/bin', '/usr/local/bin', '/opt/local/bin', '/Users/ann/.nix-profile/bin'],
      ...['/run/current-system/sw/bin', '/Applications/Coppice.app/Contents/Resources/qemu'],
      '/Applications/Coppice.app/Contents/Resources/qemu/bin',
    ])
  })

  test('Windows: variables in any case, folders in quotes, Program Files\\qemu', () => {
    const computer = fakeComputer({
      platform: 'win32',
      env: { Path: 'C:\\Windows;"D:\\my; tools"', PROGRAMFILES: 'C:\\Program Files', ProgramW6432: 'C:\\Program Files' },
      home: 'C:\\Users\\ann',
    })
    const folders = programFolders(computer, 'C:\\Coppice\\resources')
    expect(folders[0]).toBe('C:\\Windows')
    expect(folders).toContain('C:\\Program Files\\qemu')
    expect(folders).toContain('C:\\Users\\ann\\scoop\\apps\\qemu\\current')
    expect(folders.filter((folder) => folder === 'C:\\Program Files\\qemu')).toHaveLength(1)
    expect(folders.at(-1)).toBe('C:\\Coppice\\resources\\qemu\\bin')
    expect(qemuNames('win32').map(({ name }) => name)).toContain('qemu-system-aarch64.exe')
  })

  test('descriptions of firmware: the user’s before the computer’s before the packages’', () => {
    const linux = fakeComputer({ platform: 'linux', env: { XDG_CONFIG_HOME: '/home/ann/.conf' } })
    expect(descriptorFolders(linux, ['/usr/bin/qemu-system-x86_64'])).toEqual([
      ...['/home/ann/.conf/qemu/firmware', '/etc/qemu/firmware', '/usr/share/qemu/firmware', '/usr/bin/share/qemu/firmware'],
    ])
    const mac = fakeComputer({ platform: 'darwin' })
    expect(descriptorFolders(mac, ['/opt/homebrew/bin/qemu-system-aarch64'])).toContain('/opt/homebrew/share/qemu/firmware')
    const windows = fakeComputer({ platform: 'win32' })
    expect(descriptorFolders(windows, ['C:\\Program Files\\qemu\\qemu-system-x86_64.exe'])).toContain(
      'C:\\Program Files\\qemu\\share\\firmware',
    )
  })
})
