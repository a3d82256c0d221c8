import { describe, expect, test } from 'vitest'
import { shellOf, terminalEnvironment } from '../../../../src-main/host/terminals/terminal-environment.ts'

describe('terminal environment', () => {
  test('the person’s variables stay, ours and npm’s go', () => {
    const env = terminalEnvironment(
      {
        HOME: '/home/a',
        LANG: 'de_DE.UTF-8',
        PATH: '/work/x/node_modules/.bin:/usr/bin:/home/a/node_modules:/lib/node-gyp-bin',
        COPPICE_LIBRARY: '/l',
        MALLOC_MMAP_THRESHOLD_: '1048576',
        ELECTRON_RUN_AS_NODE: '1',
        npm_config_x: 'y',
        NODE_OPTIONS: '--x',
        TMUX: 't',
        COLUMNS: '80',
        TERM: 'dumb',
        EMPTY: undefined,
      },
      'linux',
    )
    expect(env).toEqual({
      HOME: '/home/a',
      LANG: 'de_DE.UTF-8',
      PATH: '/usr/bin:/home/a/node_modules',
      TERM: 'xterm-256color',
      COLORTERM: 'truecolor',
    })
  })

  test('Windows: its own separator, whatever the case of PATH', () => {
    expect(terminalEnvironment({ Path: 'C:\\x\\node_modules\\.bin;C:\\Windows' }, 'win32')['Path']).toBe('C:\\Windows')
  })

  test('the shell by platform', () => {
    expect(shellOf({ SHELL: '/bin/zsh' }, 'linux', '/bin/bash')).toEqual({ file: '/bin/zsh', args: [] })
    expect(shellOf({}, 'linux', '/bin/bash')).toEqual({ file: '/bin/bash', args: [] })
    expect(shellOf({}, 'linux', null).file).toBe('/bin/sh')
    expect(shellOf({ SHELL: '/bin/zsh' }, 'darwin', null).args).toEqual(['-l'])
    expect(shellOf({ ComSpec: 'C:\\cmd.exe' }, 'win32', null).file).toBe('C:\\cmd.exe')
  })
})
