import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { newId } from '../../src-shared/base/ids.ts'
import type { NetworkAlert } from '../../src-shared/api/networks.ts'
import { impairmentSchema } from '../../src-shared/model/network.ts'
import type { PacketSummary } from '../../src-shared/model/packet.ts'
import { MAX_HELD } from '../../src-renderer/pages/networks/packets/packet-list.svelte.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

const WEB = newId()
const DB = newId()
let opened: OpenWindow

async function open(hash: string, prepare: (window: OpenWindow) => void = () => {}): Promise<void> {
  opened = await openWindow({ machines: [fakeMachine('web', { id: WEB, state: 'running' }), fakeMachine('db', { id: DB })] }, '#/')
  const { networks } = opened.host
  networks.add({ name: 'lab', kind: 'segment' })
  networks.plug({ machine: WEB, name: 'web' })
  networks.plug({ machine: DB, name: 'db', network: 'lab', connected: false, mac: '52:54:00:00:00:02', addresses: [] })
  prepare(opened)
  await opened.win.networks.load()
  location.hash = hash
}
const asked = () => opened.host.networks.asked
const details = () => page.getByRole('complementary', { name: 'Details' })
const node = (name: string) => page.getByRole('group', { name, exact: true })

function focus(thing: ReturnType<typeof node>): void {
  ;(thing.element() as HTMLElement | SVGElement).focus()
}

beforeEach(() => page.viewport(1280, 800))
afterEach(() => opened.close())

describe('the map', () => {
  test('shows networks, machines, the outside and their links, and what is chosen', async () => {
    await open('#/networks')
    for (const name of ['Network default', 'Network lab', 'web', 'db', 'Outside']) await expect.element(node(name)).toBeVisible()
    await expect.element(node('web')).toHaveTextContent('10.0.2.15')
    await node('Network default').click()
    await expect.element(details().getByRole('heading', { name: 'default' })).toBeVisible()
    await expect.element(details().getByText('10.0.2.1, fd00:2::1')).toBeVisible()
    expect(location.hash).toBe('#/networks/map/network%2Fdefault')
    await node('web').click()
    await details()
      .getByRole('button', { name: /nic0: default/ })
      .click()
    await expect.element(details().getByText('Connected')).toBeVisible()
  })

  test('shows what flows, as width and in figures', async () => {
    await open('#/networks')
    await expect.element(node('web')).toBeVisible()
    const still = { outFrames: 1, inFrames: 1, lost: 0, denied: 0, dropped: 0 }
    await expect.poll(() => opened.host.networks.traffic.listenerCount).toBeGreaterThan(0)
    opened.host.networks.traffic.fire({ [`${WEB}/nic0`]: { outBytes: 125_000, inBytes: 0, ...still } })
    await expect.element(page.getByText('1.0 Mbit/s').first()).toBeVisible()
    await expect.poll(() => document.querySelectorAll('.flow').length).toBe(1)
    const flow = document.querySelector<SVGPathElement>('.flow')!
    await expect.poll(() => flow.style.strokeDashoffset).not.toBe('')
    // When nothing more is heard of it, it does not flow for ever.
    await expect.poll(() => document.querySelectorAll('.flow').length, { timeout: 6000 }).toBe(0)
    location.hash = '#/doctor'
    await expect.poll(() => opened.host.networks.traffic.listenerCount).toBe(0)
  })

  test('a card is plugged in elsewhere, and back', async () => {
    await open(`#/networks/map/${encodeURIComponent(`machine/${WEB}/nic0`)}`)
    await details().getByRole('combobox', { name: 'Plugged into' }).click()
    await page.getByRole('option', { name: 'lab' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['connect', { machine: WEB, nic: 'nic0', network: 'lab' }])
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['connect', { machine: WEB, nic: 'nic0', network: 'default' }])
  })

  test('a card says what it does not have of its network', async () => {
    const problem = 'QEMU itself joins it to this Mac’s “en0”: its packets do not pass Coppice.'
    await open('#/networks', ({ host }) => {
      host.networks.add({ name: 'lan', kind: 'bridged', hostInterface: 'en0' })
      host.networks.plug({ machine: WEB, name: 'web', nic: 'nic1', network: 'lan', problem })
    })
    await node('web').click()
    await details()
      .getByRole('button', { name: /nic1: lan/ })
      .click()
    await expect.element(details().getByText(problem)).toBeVisible()
  })

  test('a link is drawn with the mouse, and taken away with a key', async () => {
    await open('#/networks')
    await expect.element(node('web')).toBeVisible()
    const plug = document.querySelector(`[data-id="machine/${WEB}"] .svelte-flow__handle`)!
    const there = document.querySelector('[data-id="network/lab"] .svelte-flow__handle-bottom')!
    await userEvent.dragAndDrop(plug, there)
    await expect
      .poll(() => asked().filter(([name]) => name === 'connect'))
      .toEqual([['connect', { machine: WEB, nic: 'nic0', network: 'lab' }]])
    focus(node('db, nic0'))
    await userEvent.keyboard('{Enter}')
    await expect.element(details().getByRole('heading', { name: 'db' })).toBeVisible()
    await userEvent.keyboard('{Delete}')
    await expect.poll(() => asked().at(-1)).toEqual(['connect', { machine: DB, nic: 'nic0', network: null }])
  })

  test('a card that is told of by its old place and its new one is there once', async () => {
    await open('#/networks')
    const { networks } = opened.host
    const view = networks.view('lab')
    networks.changed.fire({ kind: 'put', network: { ...view, nics: [...view.nics, { ...networks.nics[0]!, network: 'lab' }] } })
    await expect.element(node('Network lab')).toHaveTextContent('2 machines')
    await expect.element(node('web')).toBeVisible()
    expect(opened.win.networks.nics).toHaveLength(2)
  })

  test('things are chosen, moved and left by the keyboard', async () => {
    await open('#/networks')
    await expect.element(node('Network lab')).toBeVisible()
    focus(node('Network lab'))
    await userEvent.keyboard('{Enter}')
    await expect.element(details().getByRole('heading', { name: 'lab' })).toBeVisible()
    await userEvent.keyboard('{ArrowRight}')
    await expect.poll(() => asked().at(-1)).toMatchObject(['place', { key: 'network/lab' }])
    await userEvent.keyboard('{Escape}')
    await expect.element(details().getByRole('heading', { name: 'What there is' })).toBeVisible()
    await userEvent.keyboard('{ArrowLeft}')
    expect(document.activeElement).toBe(node('Network default').element())
    await userEvent.keyboard('{ArrowDown}{Enter}')
    await expect.element(details().getByRole('heading', { name: 'web' })).toBeVisible()
    expect((node('web, nic0').element() as SVGElement).getAttribute('tabindex')).toBe('0')
    expect((node('db, nic0').element() as SVGElement).getAttribute('tabindex')).toBe('-1')
  })

  test('a network is deleted by its key after a question; that of “default” says why not', async () => {
    await open('#/networks')
    await expect.element(node('Network lab')).toBeVisible()
    focus(node('Network lab'))
    await userEvent.keyboard('{Delete}')
    await expect.element(page.getByText('The cards of 1 machine in it will be plugged in nowhere.', { exact: false })).toBeVisible()
    await page.getByRole('button', { name: 'Delete network' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['remove', { name: 'lab', unplug: true }])
    focus(node('Network default'))
    await userEvent.keyboard('{Delete}')
    await expect.element(page.getByText('The network “default” is always there.')).toBeVisible()
    expect(asked().filter(([name]) => name === 'remove')).toHaveLength(1)
  })

  test('a machine is gone to by a double click', async () => {
    await open('#/networks')
    await node('web').dblClick()
    await expect.poll(() => location.hash).toContain(`#/machine/${WEB}`)
  })

  test('things are found by name and address, one after the other; what does not fit fades', async () => {
    await open('#/networks')
    await expect.element(node('web')).toBeVisible()
    await userEvent.keyboard('{Control>}f{/Control}')
    await userEvent.keyboard('e')
    const field = page.getByRole('searchbox', { name: 'Find on the map' })
    await expect.element(page.getByText('3 found', { exact: true })).toBeVisible()
    await field.fill('10.0.2')
    await expect.element(page.getByText('2 found', { exact: true })).toBeVisible()
    await expect.element(node('db')).toHaveClass('faded')
    await userEvent.keyboard('{Enter}')
    await expect.element(details().getByRole('heading', { name: 'default' })).toBeVisible()
    await userEvent.keyboard('{Enter}')
    await expect.element(details().getByRole('heading', { name: 'web' })).toBeVisible()
    await expect.element(page.getByText('2 of 2', { exact: true })).toBeVisible()
    await userEvent.keyboard('{Escape}')
    await expect.element(node('db')).not.toHaveClass('faded')
    await userEvent.keyboard('{Escape}')
    expect(document.activeElement).toBe(node('web').element())
  })

  test('what was put elsewhere is arranged anew, with a way back', async () => {
    await open('#/networks', ({ host }) => (host.networks.map = { 'network/lab': { x: 900, y: 500 } }))
    await page.getByRole('button', { name: 'Arrange everything anew' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['unplace', { keys: ['network/lab'] }])
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['place', { key: 'network/lab', x: 900, y: 500 }])
  })

  test('a link is made worse while it runs; what is wrong is said at its field', async () => {
    await open(`#/networks/map/${encodeURIComponent(`machine/${WEB}/nic0`)}`)
    await details().getByRole('textbox', { name: 'Delay, ms' }).fill('fast')
    await expect.element(details().getByText('This is no number.')).toBeVisible()
    await details().getByRole('textbox', { name: 'Delay, ms' }).fill('200')
    await details().getByRole('textbox', { name: 'Bandwidth, bit/s' }).fill('10M')
    await details().getByRole('button', { name: 'Apply' }).click()
    const impairment = impairmentSchema.parse({ delay: 200, rate: 10_000_000 })
    await expect.poll(() => asked().at(-1)).toEqual(['impair', { target: { machine: WEB, nic: 'nic0' }, impairment }])
    await expect.element(page.getByText('10.0 Mbit/s, 200 ms')).toBeVisible()
    await details().getByRole('button', { name: 'Clear' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['impair', { target: { machine: WEB, nic: 'nic0' }, impairment: null }])
    await details().getByRole('button', { name: 'Cut the link' }).click()
    await expect.element(page.getByText('Cut', { exact: true }).first()).toBeVisible()
  })
})

describe('networks', () => {
  test('are made, with what is refused at its field, and deleted after a question', async () => {
    await open('#/networks')
    await page.getByRole('button', { name: 'New network…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Name' }).fill('lab')
    await dialog.getByRole('button', { name: 'Create network' }).click()
    await expect.element(dialog.getByText('There is a network “lab” already.')).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Name' }).fill('lab-2')
    await dialog.getByRole('button', { name: 'Create network' }).click()
    await expect.element(details().getByRole('heading', { name: 'lab-2' })).toBeVisible()
    await details().getByRole('button', { name: 'Delete the network…' }).click()
    await page.getByRole('button', { name: 'Delete network' }).click()
    await expect.poll(() => asked().at(-1)).toEqual(['remove', { name: 'lab-2', unplug: false }])
  })

  test('have forwards, added and removed with a way back', async () => {
    await open('#/networks/map/network%2Fdefault')
    await details().getByRole('button', { name: 'Add a forward…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Port of this computer' }).fill('8080')
    await dialog.getByRole('textbox', { name: 'Its port' }).fill('80')
    await dialog.getByRole('button', { name: 'Add forward' }).click()
    await expect.element(details().getByText('TCP 127.0.0.1:8080 → web:80')).toBeVisible()
    await details().getByRole('button', { name: 'Remove the forward' }).click()
    await expect.element(details().getByText('No port of this computer leads into this network.')).toBeVisible()
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.element(details().getByText('TCP 127.0.0.1:8080 → web:80')).toBeVisible()
  })

  test('have settings: reservations, names, rules and what is watched for', async () => {
    await open('#/networks/map/network%2Fdefault')
    await details().getByRole('button', { name: 'Settings…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('tab', { name: 'DHCP' }).click()
    await dialog.getByRole('textbox', { name: 'Reservations' }).fill('52:54:00:12:34:56 nowhere')
    await expect.element(dialog.getByText(/^Line 1: An IPv4 address/)).toBeVisible()
    await dialog.getByRole('textbox', { name: 'Reservations' }).fill('52:54:00:12:34:56 10.0.2.50 web-1')
    await dialog.getByRole('tab', { name: 'Names' }).click()
    await dialog.getByRole('textbox', { name: 'Names' }).fill('www A 10.0.2.50')
    await dialog.getByRole('tab', { name: 'Rules' }).click()
    await dialog.getByRole('textbox', { name: 'New zone' }).fill('trusted')
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await dialog.getByRole('combobox', { name: 'Zone of web' }).click()
    await page.getByRole('option', { name: 'trusted' }).click()
    await dialog.getByRole('button', { name: 'Add a rule' }).click()
    await dialog.getByRole('tab', { name: 'Watching' }).click()
    await dialog.getByRole('checkbox', { name: 'Cut the link of who does it' }).first().click()
    await dialog.getByRole('button', { name: 'Save' }).click()
    await expect.poll(() => asked().at(-1)?.[0]).toBe('update')
    expect(asked().at(-1)![1]).toMatchObject({
      name: 'default',
      patch: {
        dhcp: { reservations: [{ mac: '52:54:00:12:34:56', address: '10.0.2.50', name: 'web-1' }] },
        dns: { records: [{ name: 'www', type: 'A', value: '10.0.2.50' }] },
        policy: {
          zones: [{ name: 'trusted', machines: [WEB] }],
          rules: [{ from: '*', to: '*', protocol: 'any', port: null, action: 'deny' }],
        },
        watch: { cut: ['port-scan'] },
      },
    })
  })

  test('are joined by routers', async () => {
    await open('#/networks')
    await page.getByRole('button', { name: 'New router…' }).click()
    const dialog = page.getByRole('dialog')
    await userEvent.keyboard('core')
    await expect.element(dialog.getByRole('textbox', { name: 'Name' })).toHaveValue('core')
    await dialog.getByRole('textbox', { name: 'Name' }).fill('router-1')
    await dialog.getByRole('checkbox', { name: 'default' }).click()
    await dialog.getByRole('checkbox', { name: 'lab' }).click()
    await dialog.getByRole('button', { name: 'Create router' }).click()
    await expect.element(node('Router router-1')).toBeVisible()
    await details().getByRole('button', { name: 'Take it out of lab' }).click()
    await expect
      .poll(() => asked().at(-1))
      .toEqual(['putRouter', { name: 'router-1', interfaces: [{ network: 'default', ipv4: null, ipv6: null }] }])
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.poll(() => asked().at(-1)).toMatchObject(['putRouter', { interfaces: [{ network: 'default' }, { network: 'lab' }] }])
    await details().getByRole('button', { name: 'Take it out of lab' }).click()
    await expect.element(details().getByText('It hands on nothing while it is in less than two networks.')).toBeVisible()
    await details().getByRole('button', { name: 'Remove the router' }).click()
    await expect.element(node('Router router-1')).not.toBeInTheDocument()
  })
})

test('a router in a network without a subnet says what to do, and leads there', async () => {
  await open('#/networks/map/router%2Fcore', ({ host }) => {
    const interfaces = [
      { network: 'default', ipv4: '10.0.2.254', ipv6: null },
      { network: 'lab', ipv4: null, ipv6: null },
    ]
    host.networks.routers.set('core', { router: { name: 'core', interfaces }, problem: null })
  })
  await expect.element(details().getByText('The network has no subnet: nothing is handed on here.')).toBeVisible()
  await details().getByRole('button', { name: 'Give it a subnet…' }).click()
  const subnet = page.getByRole('dialog').getByRole('textbox', { name: 'IPv4 subnet' })
  await expect.element(subnet).toHaveFocus()
  await subnet.fill('10.9.0.0/24')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await details().getByRole('button', { name: 'Give it addresses' }).click()
  await expect.poll(() => asked().at(-1)).toMatchObject(['putRouter', { name: 'core', interfaces: [{}, { network: 'lab', ipv4: null }] }])
})

test('what the host refuses of settings stands at its field, on its tab', async () => {
  await open('#/networks/map/network%2Fdefault')
  await details().getByRole('button', { name: 'Settings…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox', { name: 'MTU, bytes' }).fill('large')
  await expect.element(dialog.getByText('This is no number.')).toBeVisible()
  await expect.element(dialog.getByRole('button', { name: 'Save' })).toHaveAttribute('aria-disabled', 'true')
  await dialog.getByRole('textbox', { name: 'MTU, bytes' }).fill('1500')
  await dialog.getByRole('tab', { name: 'Watching' }).click()
  const fields = [{ path: 'dhcp.reservations.1.address', message: 'Two reservations are for the same address.' }]
  opened.host.networks.refusals.set('update', AppError.invalid(fields))
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect.element(dialog.getByRole('tab', { name: 'DHCP' })).toHaveAttribute('aria-selected', 'true')
  await expect.element(dialog.getByText('Line 2: Two reservations are for the same address.')).toBeVisible()
})

test('settings are saved as far as they were changed: what others change meanwhile stays', async () => {
  const captureBytes = 5_000_001
  await open('#/networks/map/network%2Flab', ({ host }) =>
    host.networks.add({ name: 'lab', kind: 'host-only', ipv4: '10.0.5.0/24', captureBytes }),
  )
  await details().getByRole('button', { name: 'Settings…' }).click()
  const dialog = page.getByRole('dialog')
  await expect.element(dialog.getByRole('textbox', { name: 'Packets kept of each card' })).toHaveValue('4.8 MiB')
  await dialog.getByRole('textbox', { name: 'MTU, bytes' }).fill('1400')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect.poll(() => asked().at(-1)).toEqual(['update', { name: 'lab', patch: { mtu: 1400 } }])
})

test('a forward’s conflict stands at its port, and what is no port is said at once', async () => {
  await open('#/networks/map/network%2Fdefault')
  await details().getByRole('button', { name: 'Add a forward…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox', { name: 'Port of this computer' }).fill('http')
  await expect.element(dialog.getByText('A port is a number from 1 to 65535.')).toBeVisible()
  await dialog.getByRole('textbox', { name: 'Port of this computer' }).fill('8080')
  await dialog.getByRole('textbox', { name: 'Its port' }).fill('80')
  const message = 'TCP port 8080 is forwarded into the network “lab” already. Choose another port.'
  opened.host.networks.refusals.set('addForward', AppError.invalid([{ path: 'forwards.0.hostPort', message }]))
  await dialog.getByRole('button', { name: 'Add forward' }).click()
  await expect.element(dialog.getByText(message)).toBeVisible()
  await expect.element(dialog.getByRole('textbox', { name: 'Port of this computer' })).toHaveAttribute('aria-invalid', 'true')
})

describe('packets', () => {
  const packet = (number: number, protocol: string, info: string): PacketSummary => ({
    ...{ id: `${WEB}/nic0#${number}`, at: 1_790_000_000_000 + number, network: 'default', port: `${WEB}/nic0`, direction: 'out' },
    ...{ source: '10.0.2.15', destination: '10.0.2.1', protocol, length: 60, info },
  })

  test('are listed, taken apart, and followed', async () => {
    await open('#/networks/packets/network%2Fdefault', ({ host }) => {
      host.networks.packets = [
        packet(1, 'ARP', 'Who has 10.0.2.1?'),
        packet(2, 'TCP', '41000 → 80 [SYN]'),
        packet(3, 'HTTP', 'GET / HTTP/1.1'),
      ]
      host.networks.flow = {
        ...{ protocol: 'tcp', ends: ['10.0.2.15:41000', '10.0.2.1:80'], incomplete: false },
        parts: [
          { from: 0, bytes: btoa('GET / HTTP/1.1') },
          { from: 1, bytes: btoa('HTTP/1.1 200 OK') },
        ],
      }
    })
    await expect.element(page.getByText('3 packets')).toBeVisible()
    await page.getByRole('option', { name: /GET/ }).click()
    await userEvent.keyboard('{ArrowUp}')
    await expect.element(page.getByRole('option', { name: /SYN/ })).toHaveAttribute('aria-selected', 'true')
    const shown = page.getByRole('region', { name: 'Packet' })
    await expect.element(shown.getByText('Destination port')).toBeVisible()
    await expect.element(page.getByRole('region', { name: 'Bytes' })).toHaveTextContent('3c 3d 3e'.replaceAll(' ', ''))
    await shown.getByRole('button', { name: 'Follow the flow' }).click()
    await expect.element(page.getByRole('dialog').getByText('HTTP/1.1 200 OK')).toBeVisible()
  })

  test('are listed from their end on', async () => {
    await open('#/networks/packets', ({ host }) => {
      host.networks.packets = Array.from({ length: 900 }, (_, at) => packet(at, 'UDP', `number ${at}`))
    })
    await expect.element(page.getByRole('option', { name: /number 899/ })).toBeInViewport()
    await opened.host.networks.pass(packet(900, 'UDP', 'number 900'))
    await expect.element(page.getByRole('option', { name: /number 900/ })).toBeInViewport()
  })

  test('are collected while the list is held, and shown afterwards', async () => {
    await open('#/networks/packets', ({ host }) => (host.networks.packets = [packet(1, 'ARP', 'Who has 10.0.2.1?')]))
    await expect.element(page.getByText('1 packet', { exact: true })).toBeVisible()
    await page.getByRole('button', { name: 'Hold the list' }).click()
    await opened.host.networks.pass(packet(2, 'TCP', '41000 → 80 [SYN]'), packet(3, 'TCP', '80 → 41000 [RST]'))
    await expect.element(page.getByText('on hold, 2 new')).toBeVisible()
    expect(page.getByRole('option').elements()).toHaveLength(1)
    await page.getByRole('button', { name: 'Show them' }).click()
    await expect.element(page.getByText('3 packets', { exact: true })).toBeVisible()
    await expect.element(page.getByRole('option', { name: /RST/ })).toBeVisible()
  })

  test('that came while the list was held and are too many are told of', async () => {
    await open('#/networks/packets')
    await page.getByRole('button', { name: 'Hold the list' }).click()
    await opened.host.networks.pass(...Array.from({ length: MAX_HELD + 7 }, (_, at) => packet(at, 'UDP', `number ${at}`)))
    await expect.element(page.getByText(`on hold, ${MAX_HELD + 7} new`)).toBeVisible()
    await page.getByRole('button', { name: 'Go on' }).click()
    await expect.element(page.getByText('· 7 more are not listed')).toBeVisible()
  })

  test('are copied as text, as a dump and as hex; their room is kept as it was drawn', async () => {
    const written: string[] = []
    vi.spyOn(navigator.clipboard, 'writeText').mockImplementation((text) => Promise.resolve(void written.push(text)))
    await open('#/networks/packets', ({ host }) => (host.networks.packets = [packet(1, 'TCP', '41000 → 80 [SYN]')]))
    await page.getByRole('option').click()
    await userEvent.keyboard('{Control>}c{/Control}')
    expect(written[0]).toMatch(/10\.0\.2\.15 → 10\.0\.2\.1 {2}TCP {2}60 bytes {2}41000 → 80 \[SYN\]$/)
    for (const [name, text] of [
      ['Copy as text', /\[SYN\]\n[\s\S]*Destination port: /],
      ['Copy the bytes as a dump', /^0000 {2}3c 3d 3e /],
      ['Copy the bytes as hex', /^3c3d3e/],
    ] as const) {
      await page.getByRole('button', { name: /^Cop(y|ied)$/ }).click()
      await page.getByRole('menuitem', { name }).click()
      await expect.poll(() => written.at(-1)).toMatch(text)
    }
    const edge = page.getByRole('separator', { name: 'Height of the packet' })
    ;(edge.element() as HTMLElement).focus()
    await userEvent.keyboard('{ArrowUp}{ArrowUp}')
    await expect.element(edge).toHaveAttribute('aria-valuenow', '332')
    expect(localStorage.getItem('coppice.packet-height')).toBe('332')
    vi.restoreAllMocks()
  })

  test('have a room that was drawn in a larger window: it is drawn on from where it is shown', async () => {
    await open('#/networks/packets', ({ host }) => {
      localStorage.setItem('coppice.packet-height', '5000')
      host.networks.packets = [packet(1, 'ARP', 'Who has 10.0.2.1?')]
    })
    await page.getByRole('option').click()
    const edge = page.getByRole('separator', { name: 'Height of the packet' })
    await expect.element(edge).toBeInTheDocument()
    const most = edge.element().getAttribute('aria-valuemax')!
    await expect.element(edge).toHaveAttribute('aria-valuenow', most)
    ;(edge.element() as HTMLElement).focus()
    await userEvent.keyboard('{ArrowDown}')
    await expect.element(edge).toHaveAttribute('aria-valuenow', String(Number(most) - 16))
  })

  test('that were listed stay when no more come; the list can begin anew', async () => {
    await open('#/networks/packets', ({ host }) => (host.networks.packets = [packet(1, 'ARP', 'Who has 10.0.2.1?')]))
    await expect.element(page.getByRole('option')).toBeVisible()
    opened.host.networks.endPackets()
    await expect.element(page.getByText('No packets come any more', { exact: false })).toBeVisible()
    await expect.element(page.getByRole('option')).toBeVisible()
    await page.getByRole('button', { name: 'Begin the list anew' }).click()
    await expect.element(page.getByText('No packets come any more', { exact: false })).not.toBeInTheDocument()
    expect(asked().filter(([name]) => name === 'packets')).toHaveLength(2)
  })

  test('are asked for by a filter that is right, and what is wrong with one is said', async () => {
    await open('#/networks/packets')
    const field = page.getByRole('searchbox', { name: 'Filter' })
    await field.fill('port eighty')
    await expect.element(page.getByText('“eighty” is no port. Write it as in: port 80')).toBeVisible()
    await field.fill('tcp port 80')
    await userEvent.keyboard('{Enter}')
    await expect.poll(() => asked().at(-1)).toEqual(['packets', { target: { network: 'default' }, filter: 'tcp port 80', kept: true }])
    expect(asked().filter(([name]) => name === 'packets')).toHaveLength(2)
  })

  test('are saved', async () => {
    await open('#/networks/packets')
    await page.getByRole('button', { name: 'Save…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'File' }).fill('/tmp/x.pcapng')
    await dialog.getByRole('button', { name: 'Save capture' }).click()
    await expect
      .poll(() => asked().at(-1))
      .toEqual(['capture', { target: { network: 'default' }, path: '/tmp/x.pcapng', last: 60_000, duration: null }])
  })
})

test('a machine’s status line leads to its place on the map', async () => {
  await open(`#/machine/${WEB}/notes`)
  await page.getByRole('article').getByRole('button', { name: 'default', exact: true }).click()
  await expect.element(details().getByRole('heading', { name: 'web' })).toBeVisible()
  expect(location.hash).toBe(`#/networks/map/${encodeURIComponent(`machine/${WEB}/nic0`)}`)
})

test('alerts stand on the map and in their list, and can be acted on', async () => {
  const alert: NetworkAlert = {
    ...{ id: newId(), at: Date.now(), network: 'default', port: `${WEB}/nic0`, mac: '52:54:00:12:34:56', watch: 'port-scan' },
    ...{ message: '“web” scans the ports of 10.0.2.9.', count: 1, cut: false },
  }
  await open('#/networks/alerts')
  await expect.element(page.getByText('Nothing suspicious so far')).toBeVisible()
  opened.host.networks.alert.fire(alert)
  opened.host.networks.alert.fire({ ...alert, count: 3 })
  await expect.element(page.getByText(alert.message)).toBeVisible()
  await expect.element(page.getByText('3 times', { exact: false })).toBeVisible()
  await expect.element(page.getByRole('tab', { name: 'Alerts (1)' })).toBeVisible()
  opened.host.networks.alert.fire({ ...alert, id: newId(), message: 'Another one.' })
  await page.getByRole('tab', { name: 'Map' }).click()
  await node('web').click()
  await expect.element(details().getByText('Another one.')).toBeVisible()
  await expect.element(node('web')).toHaveTextContent('Another one.')
  await expect.element(node('Network default')).toHaveTextContent('2 alerts')
  await details().getByRole('button', { name: 'All 2 alerts' }).click()
  await page.getByRole('button', { name: 'Dismiss all…' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Dismiss', exact: true }).first().click()
  await page.getByRole('button', { name: 'Cut link' }).click()
  await expect.poll(() => asked().at(-1)).toEqual(['cut', { machine: WEB, nic: 'nic0', cut: true }])
  await page.getByRole('button', { name: 'Packets' }).click()
  await expect.poll(() => asked().at(-1)).toEqual(['packets', { target: { alert: alert.id }, filter: '', kept: true }])
  await page.getByRole('tab', { name: 'Alerts (1)' }).click()
  await page.getByRole('button', { name: 'Dismiss' }).click()
  await expect.element(page.getByText('Nothing suspicious so far')).toBeVisible()
})
