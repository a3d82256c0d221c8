import path from 'node:path'
import { expect, test } from 'vitest'
import { browserArguments, browserCandidates, displayProblem } from '../../../../src-main/app/launch/browser-window.ts'
import { parseLaunchOptions } from '../../../../src-main/app/launch/options.ts'

test('nothing asked: a window on the usual library', () => {
  expect(parseLaunchOptions([])).toEqual({ serve: false, library: null, port: 0, allowTerminal: false })
})

test('everything asked', () => {
  expect(parseLaunchOptions(['--serve', '--library', 'lab', '--port=4001', '--allow-terminal'])).toEqual({
    serve: true,
    library: path.resolve('lab'),
    port: 4001,
    allowTerminal: true,
  })
})

test.each([
  [['--port', '65536'], '“65536” is not a port'],
  [['--port', '-1'], 'Usage'],
  [['--port=x'], '“x” is not a port'],
  [['--library='], 'folder is missing'],
  [['--nonsense'], '--nonsense'],
  [['word'], 'word'],
])('%j is refused with a sentence and the usage', (args, sentence) => {
  expect(() => parseLaunchOptions(args)).toThrow(
    expect.objectContaining({ code: 'invalid-input', message: expect.stringContaining(sentence) }),
  )
  expect(() => parseLaunchOptions(args)).toThrow('Usage: npm start')
})

test('browsers are looked for where each system has them', () => {
  expect(browserCandidates({ PATH: '/usr/bin:/opt/bin' }, 'linux').slice(0, 3)).toEqual([
    '/usr/bin/chromium',
    '/opt/bin/chromium',
    '/usr/bin/chromium-browser',
  ])
  expect(browserCandidates({}, 'linux')).toEqual([])
  expect(browserCandidates({}, 'darwin')[0]).toBe('/Applications/Google Chrome.app/Contents/MacOS/Google Chrome')
  expect(browserCandidates({ PROGRAMFILES: 'C:\\Program Files' }, 'win32')).toContain(
    'C:\\Program Files\\Microsoft\\Edge\\Application\\msedge.exe',
  )
  expect(browserCandidates({ COPPICE_CHROMIUM: '/my/browser', PATH: '/usr/bin' }, 'linux')).toEqual(['/my/browser'])
})

test('the browser has a profile of its own, and its sandbox unless root starts it', () => {
  const usual = browserArguments('http://127.0.0.1:1/?token=x', '/profile', false)
  expect(usual).toContain('--app=http://127.0.0.1:1/?token=x')
  expect(usual).toContain('--user-data-dir=/profile')
  expect(usual).not.toContain('--no-sandbox')
  expect(browserArguments('http://127.0.0.1:1/', '/profile', true)).toEqual(expect.arrayContaining(['--no-sandbox', '--test-type']))
})

test('no display is said, where there can be none', () => {
  expect(displayProblem({}, 'linux')).toContain('DISPLAY')
  expect(displayProblem({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux')).toBeNull()
  expect(displayProblem({ DISPLAY: ':0' }, 'linux')).toBeNull()
  expect(displayProblem({}, 'darwin')).toBeNull()
  expect(displayProblem({}, 'win32')).toBeNull()
})
