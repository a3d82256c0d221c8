import type { Component } from 'svelte'

/** An icon of @lucide/svelte: `import Play from '@lucide/svelte/icons/play'`. */
export type Icon = Component<{ size?: number | string; strokeWidth?: number | string; class?: string; 'aria-hidden'?: 'true' | 'false' }>
