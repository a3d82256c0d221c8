import { expect, test, vi } from 'vitest'
import type { WindowFile, WindowFiles } from '../../../../src-main/app/serve/window-files.ts'
import { electron } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { answer, registerScheme, serveScheme } = await import('../../../../src-main/app/electron/protocol.ts')

const index: WindowFile = { bytes: Buffer.from('<!doctype html>'), type: 'text/html; charset=utf-8', etag: '"1"', immutable: false }
const files: WindowFiles = new Map([['/', index]])

test('the scheme has an origin of its own and no privilege beyond', () => {
  registerScheme()
  expect(electron.protocol.schemes).toEqual([
    { scheme: 'coppice', privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
  ])
})

test('the page comes with its headers', async () => {
  serveScheme(files)
  const response = await electron.protocol.handlers.get('coppice')!(new Request('coppice://app/'))
  expect(response.status).toBe(200)
  expect(await response.text()).toBe('<!doctype html>')
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/)
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
})

test.each([
  ['coppice://app/nothing', 'GET', 404],
  ['coppice://app/../../etc/passwd', 'GET', 404],
  ['coppice://app/%2e%2e/secret', 'GET', 404],
  ['coppice://other/', 'GET', 404],
  ['coppice://app.evil.example/', 'GET', 404],
  ['file:///etc/passwd', 'GET', 404],
  ['nonsense', 'GET', 404],
  ['coppice://app/', 'POST', 405],
])('%s %s is %d', (url, method, status) => {
  const response = answer({ url, method }, files)
  expect(response.status).toBe(status)
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
})
