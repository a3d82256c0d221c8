import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

const INTERFACES: MachineView['interfaces'] = [
  { nic: 'nic0', name: 'eth0', mac: '52:54:00:12:34:56', addresses: ['192.0.2.7', '2001:db8::7'] },
  { nic: null, name: 'docker0', mac: null, addresses: ['198.51.100.1'] },
]
const reachable = (over: Partial<MachineView> = {}): MachineView =>
  fakeMachine('web', {
    state: 'running',
    agent: true,
    interfaces: INTERFACES,
    addresses: INTERFACES.flatMap(({ addresses }) => addresses),
    ...over,
  })
const open = async (machine: MachineView): Promise<void> => {
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/notes`)
  await expect.element(page.getByRole('article')).toBeVisible()
}
const asked = (): number => window.host.calls.filter((call) => call === 'machines.addresses').length

describe('the addresses of a machine', () => {
  test('stand in its status line; a click copies', async () => {
    await open(reachable())
    await page.getByRole('button', { name: '192.0.2.7', exact: true }).click()
    await expect.element(page.getByText('Copied 192.0.2.7')).toBeVisible()
    await page.getByRole('button', { name: 'All addresses' }).click()
    await expect.element(page.getByRole('menuitem', { name: '198.51.100.1 (docker0)' })).toBeVisible()
    await page.getByRole('menuitem', { name: '2001:db8::7 (nic0, eth0)' }).click()
    await expect.element(page.getByText('Copied 2001:db8::7')).toBeVisible()
  })

  test('come and go with what the host tells, and are asked for by who looks', async () => {
    const machine = reachable({ addresses: [], interfaces: [] })
    await open(machine)
    await expect.element(page.getByText('Address', { exact: true })).not.toBeInTheDocument()
    await expect.poll(asked).toBe(1)
    window.host.put({ ...machine, addresses: ['192.0.2.9'], interfaces: [{ ...INTERFACES[0]!, addresses: ['192.0.2.9'] }] })
    await expect.element(page.getByRole('button', { name: '192.0.2.9' })).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'All addresses' })).not.toBeInTheDocument()
    window.host.put({ ...machine, agent: false })
    await expect.element(page.getByRole('button', { name: '192.0.2.9' })).not.toBeInTheDocument()
    // The same agent still: a change of anything else is no reason to ask again.
    expect(asked()).toBe(1)
  })

  test('are not asked for where nobody could answer', async () => {
    await open(reachable({ agent: false, addresses: [], interfaces: [] }))
    await userEvent.keyboard('{Tab}')
    expect(asked()).toBe(0)
  })
})
