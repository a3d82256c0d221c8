import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { browserCandidates, findBrowser, findProgram } from '../../../../src-main/host/system/find-program.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

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

test('only what exists is found; of several in the path the first', async () => {
  const [first, second] = [await tempFolder(), await tempFolder()]
  for (const folder of [first, second]) {
    await writeFile(join(folder, 'chromium'), '')
    await chmod(join(folder, 'chromium'), 0o755)
  }
  const env = { PATH: `${first}:${second}` }
  expect(findBrowser(env, 'linux')).toBe(join(first, 'chromium'))
  expect(findProgram('chromium', env)).toBe(join(first, 'chromium'))
  expect(findProgram('chrome', env)).toBeNull()
  expect(findBrowser({ PATH: first, COPPICE_CHROMIUM: join(first, 'gone') }, 'linux')).toBeNull()
})
