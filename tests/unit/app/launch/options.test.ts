import path from 'node:path'
import { expect, test } from 'vitest'
import { browserArguments, displayProblem } from '../../../../src-main/app/launch/browser-window.ts'
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
