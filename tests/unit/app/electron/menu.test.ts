import type { MenuItemConstructorOptions } from 'electron'
import { expect, test, vi } from 'vitest'
import { electron } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { menuTemplate, setMenu } = await import('../../../../src-main/app/electron/menu.ts')

const actions = { newWindow: vi.fn(), quit: vi.fn() }

function all(template: MenuItemConstructorOptions[]): MenuItemConstructorOptions[] {
  return template.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? all(item.submenu) : [])])
}

test.each(['linux', 'win32', 'darwin'] as const)('on %s quitting goes through us, and a packaged window has no tools', (platform) => {
  const items = all(menuTemplate(platform, true, actions))
  expect(items.some(({ role }) => role === 'quit' || role === 'toggleDevTools' || role === 'reload')).toBe(false)
  const quit = items.filter(({ label }) => label === 'Quit Coppice')
  expect(quit).toHaveLength(1)
  ;(quit[0]!.click as () => void)()
  expect(actions.quit).toHaveBeenCalled()
  for (const role of ['copy', 'paste', 'zoomIn', 'togglefullscreen']) expect(items.some((item) => item.role === role)).toBe(true)
})

test('developers can reload', () => {
  expect(all(menuTemplate('linux', false, actions)).some(({ role }) => role === 'toggleDevTools')).toBe(true)
})

test('it becomes the application’s menu', () => {
  setMenu(true, actions)
  expect(electron.Menu.template?.map(({ label }) => label)).toContain('File')
})
