/** How near the map is seen: its limits, what "everything" means (never larger than life), and below which names alone can be read. */
export const ZOOM = { min: 0.1, max: 2, names: 0.6 } as const
/** Beside what lies on the map: its search above, its tools below. */
export const FIT = { padding: { x: '24px', top: '60px', bottom: '60px' }, maxZoom: 1 } as const
/** What was looked for is shown no smaller than that. */
export const NEAR = 0.9
