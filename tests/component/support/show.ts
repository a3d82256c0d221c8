import type { Component } from 'svelte'
import { render } from 'vitest-browser-svelte'
import type { WindowState } from '../../../src-renderer/state/window-state.svelte.ts'
import InWindow from './InWindow.svelte'

/** Shows a part of the window inside of its frame. */
export async function show<Props extends Record<string, unknown>>(
  window: WindowState,
  part: Component<Props>,
  given: Props,
): Promise<{ change(given: Props): Promise<void>; close(): Promise<void> }> {
  const view = await render(InWindow as Component<{ window: WindowState; part: Component<Props>; given: Props }>, {
    props: { window, part, given },
  })
  return {
    change: async (next) => void (await view.rerender({ given: next })),
    close: async () => void (await view.unmount()),
  }
}
