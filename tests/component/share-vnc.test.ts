import { afterEach, beforeEach, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import DisplayTab from '../../src-renderer/pages/machine/display/DisplayTab.svelte'
import MachineNotices from '../../src-renderer/pages/machine/MachineNotices.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { connected, show } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

const dialog = page.getByRole('dialog', { name: 'Share the screen of “web-1” by VNC' })
const share = dialog.getByRole('button', { name: 'Share', exact: true })
const switched = dialog.getByRole('checkbox', { name: 'Share while the machine runs' })
const password = dialog.getByRole('textbox', { name: 'Password' })
const address = dialog.getByRole('status', { name: 'Address' })

/** The tab, with the dialog open; gives what changes the machine, as a host's news would. */
async function open(): Promise<(change: Partial<MachineView>) => Promise<void>> {
  const view = await show(state, DisplayTab, { machine })
  await page.getByRole('button', { name: 'How the screen is used' }).click()
  await page.getByRole('menuitem', { name: 'Share by VNC…' }).click()
  await expect.element(dialog).toBeVisible()
  return (change) => view.change({ machine: { ...host.machines.get(machine.id)!, ...change } })
}

beforeEach(async () => {
  await page.viewport(1000, 700)
  host = new FakeHost()
  machine = host.put(fakeMachine('web-1', { state: 'running' }))
  state = await connected(host)
})
afterEach(() => state.dispose())

test('shares with a password of its own making, shows the address and copies it, and stops', async () => {
  const change = await open()
  await expect.element(address).toHaveTextContent('The screen is not shared.')
  await expect.element(share).toHaveAttribute('aria-disabled', 'true')
  await switched.click()
  const made = (password.element() as HTMLInputElement).value
  expect(made).toMatch(/^[a-z2-9]{8}$/)
  expect((password.element() as HTMLInputElement).type).toBe('text')
  await share.click()
  await expect.poll(() => host.updates).toEqual([{ id: machine.id, patch: { vncExport: { enabled: true, port: null } } }])
  expect(host.vncPasswords.get(machine.id)).toBe(made)
  await change({ vnc: { address: '127.0.0.1:5901', problem: null } })
  await expect.element(address).toHaveTextContent('Connect a viewer to 127.0.0.1:5901')
  await expect.element(dialog.getByRole('button', { name: 'Copy the address' })).toBeVisible()
  await switched.click()
  await dialog.getByRole('button', { name: 'Stop sharing' }).click()
  await expect.poll(() => host.updates.at(-1)!.patch).toEqual({ vncExport: { enabled: false, port: null } })
  expect(host.calls.filter((call) => call === 'machines.setVncPassword')).toHaveLength(1)
})

test('a password that is set is hidden until it is asked for, and only a new one is sent', async () => {
  host.vncPasswords.set(machine.id, 'secret12')
  await open()
  await switched.click()
  const field = dialog.getByLabelText('Password', { exact: true })
  expect((field.element() as HTMLInputElement).type).toBe('password')
  await dialog.getByRole('button', { name: 'Show the password' }).click()
  await expect.element(password).toHaveValue('secret12')
  await dialog.getByRole('textbox', { name: 'Port' }).fill('5907')
  await userEvent.keyboard('{Enter}')
  await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ vncExport: { enabled: true, port: 5907 } })
  expect(host.calls).not.toContain('machines.setVncPassword')
})

test('what is wrong is said at its field, and nothing is lost', async () => {
  await open()
  await switched.click()
  const port = dialog.getByRole('textbox', { name: 'Port' })
  await port.fill('80')
  await share.click()
  await expect.element(dialog.getByText('Choose a port from 1024 to 65535.')).toBeVisible()
  await port.fill('')
  await password.fill('short')
  await share.click()
  await expect.element(dialog.getByText('A VNC password has at least 6 characters.')).toBeVisible()
  await expect.element(password).toHaveValue('short')
  expect(host.updates).toEqual([])
})

test('a port that is taken is told in the dialog and at the machine, which runs on', async () => {
  machine = host.put(fakeMachine('web-1', { state: 'running' }, { vncExport: { enabled: true, port: 5901 } }))
  host.vncPasswords.set(machine.id, 'secret12')
  const message = 'Port 5901 is used by another program. Choose another port for VNC viewers of “web-1”, or any free one.'
  const change = await open()
  await expect.element(address).toHaveTextContent('Opening the port …')
  await change({ vnc: { address: null, problem: { code: 'unavailable', message } } })
  await expect.element(address.getByText(message)).toBeVisible()
  await dialog.getByRole('button', { name: 'Try again' }).click()
  await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ vncExport: { enabled: true, port: 5901 } })
  await userEvent.keyboard('{Escape}')
  await show(state, MachineNotices, { machine: { ...machine, vnc: { address: null, problem: { code: 'unavailable' as const, message } } } })
  await expect.element(page.getByText('The screen is not shared by VNC')).toBeVisible()
})
