"""Networks: each module makes one ready to run and leaves the process as it was. Only here is torch imported."""
