import { afterEach, beforeEach, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import { newId } from '../../src-shared/base/ids.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let opened: OpenWindow

beforeEach(() => page.viewport(1280, 800))
afterEach(() => opened.close())

test('a machine is marked private on the map, and no more', async () => {
  const id = newId()
  opened = await openWindow({ machines: [fakeMachine('web', { id, state: 'running' })] }, '#/')
  opened.host.networks.plug({ machine: id, name: 'web' })
  await opened.win.networks.load()
  location.hash = '#/networks'
  await page.getByRole('group', { name: 'web', exact: true }).click()
  const box = page.getByRole('complementary', { name: 'Details' }).getByRole('checkbox', { name: 'Private' })
  await expect.element(box).not.toBeChecked()
  await box.click()
  await expect.element(box).toBeChecked()
  await box.click()
  await expect.element(box).not.toBeChecked()
  expect(opened.host.updates).toEqual([true, false].map((value) => ({ id, patch: { private: value } })))
})
