import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import MetricsTab from '../../src-renderer/pages/machine/metrics/MetricsTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { MiB } from '../../src-shared/base/units.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { connected, show } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

beforeEach(async () => {
  await page.viewport(1280, 800)
  localStorage.clear()
  host = new FakeHost()
  machine = host.put(fakeMachine('web-1', { state: 'running' }))
  state = await connected(host)
})
afterEach(() => state.dispose())

const chart = (name: string) => page.getByRole('figure', { name, exact: true }).first()

/** Five minutes of figures that rise by one per cent of a core each ten seconds. */
function history(until: number): void {
  const at = Array.from({ length: 300 }, (_, second) => until - (299 - second) * 1000)
  const column = (value: (second: number) => number): number[] => at.map((_, second) => value(second))
  host.machineHistory = {
    at,
    series: {
      cpu: column((second) => Math.floor(second / 10) / 100),
      instructionsPerSecond: column(() => 5e6),
      halted: column(() => 0.5),
      memoryBytes: column(() => 280 * MiB),
      diskReadPerSecond: column(() => 0),
      diskWrittenPerSecond: column(() => 4096),
      netReceivedPerSecond: column(() => 0),
      netSentPerSecond: column(() => 0),
    },
  }
}

describe('the metrics tab', () => {
  test('shows the history and then each sample as it comes', async () => {
    const now = Date.now()
    history(now - 1000)
    host.latest = host.figures(now, { cpu: 0.31 })
    await show(state, MetricsTab, { machine })
    await expect.element(chart('Processor').getByText('31 %')).toBeVisible()
    host.sampled.fire(host.figures(now + 1000, { cpu: 0.42, memoryBytes: 512 * MiB, diskReadPerSecond: 3 * MiB }))
    await expect.element(chart('Processor').getByText('42 %')).toBeVisible()
    await expect.element(chart('Memory').getByText('512 MiB')).toBeVisible()
    await expect.element(chart('Disk').getByText('3 MiB/s')).toBeVisible()
    expect(document.querySelectorAll('canvas').length).toBeGreaterThan(3)
  })

  test('under the pointer every chart tells the figures of that moment', async () => {
    const now = Date.now()
    history(now - 1000)
    host.latest = host.figures(now, { cpu: 0.99, diskWrittenPerSecond: 1 * MiB })
    await show(state, MetricsTab, { machine })
    await expect.element(chart('Disk').getByText('1 MiB/s')).toBeVisible()
    await userEvent.hover(chart('Processor').element().querySelector('.u-over')!, { position: { x: 150, y: 40 } })
    await expect.element(chart('Disk').getByText('4 KiB/s')).toBeVisible()
    await userEvent.unhover(chart('Processor').element().querySelector('.u-over')!)
    await userEvent.hover(page.getByRole('heading', { name: 'This machine' }))
    await expect.element(chart('Disk').getByText('1 MiB/s')).toBeVisible()
  })

  test('a machine that never ran says so', async () => {
    machine = host.put({ ...machine, state: 'off', startedAt: null, bootedAt: null })
    await show(state, MetricsTab, { machine })
    await expect.element(chart('Disk').getByText('No figures yet: the machine does not run')).toBeVisible()
    await expect.element(chart('Disk').getByText('–').first()).toBeVisible()
  })

  test('what QEMU cannot tell of its guest is not drawn, and the processors are as many as the machine has', async () => {
    machine = host.put({ ...machine, engine: 'qemu', accelerator: 'tcg', config: { ...machine.config!, cpus: 2 } })
    host.latest = host.figures(Date.now(), { cpu: 1.6 })
    await show(state, MetricsTab, { machine })
    await expect.element(chart('Processor').getByText('160 %')).toBeVisible()
    await expect.element(page.getByText('Guest halted')).not.toBeInTheDocument()
    await expect.element(page.getByRole('figure', { name: 'Guest instructions' })).not.toBeInTheDocument()
  })

  test('listens only while it is shown', async () => {
    const view = await show(state, MetricsTab, { machine })
    await expect.poll(() => host.sampled.listenerCount).toBe(1)
    await view.close()
    await expect.poll(() => host.sampled.listenerCount).toBe(0)
  })

  test('a lost connection leaves a gap until the history fills it', async () => {
    const now = Date.now()
    host.latest = host.figures(now)
    await show(state, MetricsTab, { machine })
    await expect.element(chart('Processor').getByText('25 %')).toBeVisible()
    host.cut()
    history(now + 9000)
    host.latest = host.figures(now + 10_000, { cpu: 0.66 })
    await expect.element(chart('Processor').getByText('66 %')).toBeVisible()
  })

  test('the range is chosen and remembered', async () => {
    const view = await show(state, MetricsTab, { machine })
    await page.getByRole('button', { name: '15 min' }).click()
    await view.close()
    await show(state, MetricsTab, { machine })
    await expect.element(page.getByRole('button', { name: '15 min' })).toHaveAttribute('aria-pressed', 'true')
  })
})
