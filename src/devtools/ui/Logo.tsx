export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="logo-ground" width="32" height="32" rx="8" />
      <g class="logo-lanes">
        <rect x="6" y="8" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="13" y="8" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="20" y="8" width="6" height="4" rx="1.5" />
        <rect x="6" y="14" width="5" height="4" rx="1.5" opacity=".45" />
        <rect x="13" y="14" width="13" height="4" rx="1.5" />
        <rect x="6" y="20" width="20" height="4" rx="1.5" />
      </g>
    </svg>
  );
}
