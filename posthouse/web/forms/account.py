"""The form that asks for an address to send a sign-in link to."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from posthouse.address import AddressError, parse


class SignIn(forms.Form):
    """An e-mail address; anything this house can send to is taken, wherever it leads."""

    address = forms.CharField(max_length=320, error_messages={"required": _("Write your e-mail address.")})

    def clean_address(self) -> str:
        """The address as it was written; refused when mail could not go there."""
        text: str = self.cleaned_data["address"].strip()
        try:
            parse(text)
        except AddressError:
            raise forms.ValidationError(
                _("This is not an e-mail address. It should look like ana@far.example.")
            ) from None
        return text
