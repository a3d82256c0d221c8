import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { WebContents } from 'electron'
import { electron, frame, SessionDouble, WebContentsDouble } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { displayOf, displayUrl, guardApp, guardContents, guardSession, isWebLink, isWindowFrame, webPreferences, windowUrl } =
  await import('../../../../src-main/app/electron/security.ts')

const MACHINE = '7c9e6679-7425-40de-944b-e07fc1f90ae7'

beforeEach(() => {
  electron.app.isPackaged = true
  electron.shell.opened = []
  vi.unstubAllEnvs()
})

test('the page has no Node, its own world, a sandbox, and no way to weaken these', () => {
  expect(webPreferences('/preload.cjs')).toEqual({
    preload: '/preload.cjs',
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    spellcheck: false,
    devTools: false,
  })
})

test('developers get their tools', () => {
  electron.app.isPackaged = false
  expect(webPreferences('/preload.cjs').devTools).toBe(true)
})

describe('a page', () => {
  let contents: WebContentsDouble
  let wanted: string[]
  beforeEach(() => {
    contents = new WebContentsDouble()
    wanted = []
    guardContents(contents as unknown as WebContents, (machine) => wanted.push(machine))
  })

  test.each(['will-navigate', 'will-frame-navigate', 'will-redirect', 'will-attach-webview'])('is refused %s', (event) => {
    expect(contents.attempt(event)).toBe(true)
  })

  test('opens no window; links to the web go to the system’s browser', () => {
    const open = (url: string) => contents.openHandler!({ url } as never)
    expect(open('https://example.org/a?b=c')).toEqual({ action: 'deny' })
    expect(electron.shell.opened).toEqual(['https://example.org/a?b=c'])
    for (const url of [
      'file:///etc/passwd',
      'javascript:alert(1)',
      'coppice://app/',
      'data:text/html,x',
      'smb://host/share',
      'ssh://host',
      'not a url',
    ])
      expect(open(url)).toEqual({ action: 'deny' })
    expect(electron.shell.opened).toHaveLength(1)
  })

  test('asks for the screen of a machine, which is opened for it and not by it', () => {
    expect(contents.openHandler!({ url: `coppice://app/#/display/${MACHINE}` } as never)).toEqual({ action: 'deny' })
    expect(wanted).toEqual([MACHINE])
    // Another page, however it came to be here, has nothing opened.
    contents.url = 'https://evil.example/'
    contents.openHandler!({ url: `coppice://app/#/display/${MACHINE}` } as never)
    expect(wanted).toEqual([MACHINE])
    expect(electron.shell.opened).toEqual([])
  })

  test('a link has a largest length', () => {
    expect(isWebLink(`https://example.org/${'a'.repeat(2000)}`)).toBe(true)
    expect(isWebLink(`https://example.org/${'a'.repeat(2048)}`)).toBe(false)
  })
})

describe('the address of a machine’s screen', () => {
  test('is told from every other', () => {
    expect(displayOf(displayUrl(MACHINE))).toBe(MACHINE)
    expect(displayOf(`coppice://app/#/display/${MACHINE}`)).toBe(MACHINE)
    for (const url of [
      'coppice://app/',
      'coppice://app/#/display/',
      'coppice://app/#/display/..%2fsettings',
      `coppice://app/#/machine/${MACHINE}`,
      `coppice://app/#/display/${MACHINE}/x`,
      `coppice://app/#/display/${MACHINE.toUpperCase()}`,
      `coppice://app/other.html#/display/${MACHINE}`,
      `coppice://app/?x#/display/${MACHINE}`,
      `coppice://user@app/#/display/${MACHINE}`,
      `coppice://evil/#/display/${MACHINE}`,
      `https://app/#/display/${MACHINE}`,
      `https://evil.example/#/display/${MACHINE}`,
      `javascript:alert(1)#/display/${MACHINE}`,
      'not an address',
    ])
      expect(displayOf(url), url).toBeNull()
  })

  test('in development is on Vite’s server', () => {
    vi.stubEnv('ELECTRON_RENDERER_URL', 'http://localhost:5173')
    expect(displayOf(`http://localhost:5173/#/display/${MACHINE}`)).toBeNull()
    electron.app.isPackaged = false
    expect(displayUrl(MACHINE)).toBe(`http://localhost:5173/#/display/${MACHINE}`)
    expect(displayOf(displayUrl(MACHINE))).toBe(MACHINE)
    expect(displayOf(`http://localhost:5174/#/display/${MACHINE}`)).toBeNull()
  })
})

test('every page and session that will be made is guarded', () => {
  guardApp(() => {})
  const contents = new WebContentsDouble()
  electron.app.emit('web-contents-created', {}, contents)
  expect(contents.openHandler).not.toBeNull()
  const session = new SessionDouble()
  electron.app.emit('session-created', session)
  expect(session.request).not.toBeNull()
})

describe('permissions', () => {
  let session: SessionDouble
  beforeEach(() => {
    session = new SessionDouble()
    guardSession(session.asSession())
  })

  function request(permission: string, url: string | null): boolean {
    let granted: boolean | undefined
    const contents = url === null ? null : Object.assign(new WebContentsDouble(), { url })
    session.request!(contents as never, permission as never, (answer) => (granted = answer), {} as never)
    return granted!
  }

  test('our page may use the clipboard', () => {
    expect(request('clipboard-read', 'coppice://app/')).toBe(true)
    expect(request('clipboard-sanitized-write', 'coppice://app/')).toBe(true)
    expect(session.check!(null, 'clipboard-read' as never, 'coppice://app/', {} as never)).toBe(true)
  })

  test('our page may fill the screen and take keys and pointer', () => {
    for (const permission of ['fullscreen', 'keyboardLock', 'pointerLock']) {
      expect(request(permission, 'coppice://app/')).toBe(true)
      expect(request(permission, 'https://evil.example/')).toBe(false)
    }
  })

  test.each(['media', 'geolocation', 'notifications', 'midi', 'openExternal', 'display-capture', 'hid', 'serial', 'usb', 'fileSystem'])(
    '%s is denied',
    (permission) => {
      expect(request(permission, 'coppice://app/')).toBe(false)
      expect(session.check!(null, permission as never, 'coppice://app/', {} as never)).toBe(false)
    },
  )

  test.each(['https://evil.example/', 'coppice://app.evil.example/', 'coppice://other/', 'about:blank', '', null])(
    '%s gets nothing',
    (url) => {
      expect(request('clipboard-read', url)).toBe(false)
      if (url !== null) expect(session.check!(null, 'clipboard-read' as never, url, {} as never)).toBe(false)
    },
  )

  test('devices are denied', () => {
    expect(session.device!({} as never)).toBe(false)
  })

  function loads(url: string): boolean {
    let cancelled: boolean | undefined
    session.beforeRequest!({ url } as never, ({ cancel }) => (cancelled = cancel))
    return !cancelled
  }

  test('the page loads itself and nothing from anywhere', () => {
    for (const url of ['coppice://app/assets/index.js', 'blob:coppice://app/1', 'data:image/png;base64,AA==']) expect(loads(url)).toBe(true)
    for (const url of [
      'https://evil.example/',
      'http://127.0.0.1:8080/',
      'ws://127.0.0.1/',
      'file:///etc/passwd',
      'ftp://host/',
      'nonsense',
    ])
      expect(loads(url)).toBe(false)
  })

  test('in development Vite’s server is the page; packaged it is not', () => {
    vi.stubEnv('ELECTRON_RENDERER_URL', 'http://localhost:5173')
    expect(windowUrl()).toBe('coppice://app/')
    expect(loads('http://localhost:5173/main.ts')).toBe(false)
    electron.app.isPackaged = false
    expect(windowUrl()).toBe('http://localhost:5173')
    expect(loads('http://localhost:5173/main.ts')).toBe(true)
    expect(loads('http://localhost:5174/main.ts')).toBe(false)
    expect(isWindowFrame(frame('http://localhost:5173/'))).toBe(true)
  })
})

test('a sender is trusted when it is the top frame of our page', () => {
  expect(isWindowFrame(frame('coppice://app/'))).toBe(true)
  expect(isWindowFrame(frame('coppice://app/index.html#x'))).toBe(true)
  expect(isWindowFrame(frame('coppice://app/', frame('coppice://app/')))).toBe(false)
  for (const url of ['https://evil.example/', 'coppice://app.evil.example/', 'coppice://appevil/', 'about:blank', ''])
    expect(isWindowFrame(frame(url))).toBe(false)
  expect(isWindowFrame(null)).toBe(false)
})
